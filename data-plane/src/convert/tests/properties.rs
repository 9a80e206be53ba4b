//! What is decoded encodes to what it was, and what is encoded decodes to what it was.

use proptest::prelude::*;

use super::*;

fn scalar() -> impl Strategy<Value = (Type, Value)> {
    prop_oneof![
        any::<i8>().prop_map(|v| (Type::Int8, Value::Int(v.into()))),
        any::<i32>().prop_map(|v| (Type::Int32, Value::Int(v.into()))),
        any::<i64>().prop_map(|v| (Type::Int64, Value::Int(v))),
        any::<f32>().prop_filter("NaN", |v| !v.is_nan()).prop_map(|v| (Type::Float32, Value::Float(v.into()))),
        any::<f64>().prop_filter("NaN", |v| !v.is_nan()).prop_map(|v| (Type::Float64, Value::Float(v))),
        any::<bool>().prop_map(|v| (Type::Boolean, Value::Bool(v))),
        ".{0,8}".prop_map(|v| (Type::String, Value::Str(v.into()))),
        proptest::collection::vec(any::<u8>(), 0..9).prop_map(|v| (Type::Bytes, Value::Bytes(v.into()))),
    ]
}

fn datum() -> impl Strategy<Value = Datum> {
    proptest::collection::vec((scalar(), any::<bool>()), 0..6).prop_map(|fields| {
        let mut schema = Schema::of(Type::Struct);
        let mut values = Vec::new();
        for (i, ((kind, value), null)) in fields.into_iter().enumerate() {
            let name = Text::from(format!("f{i}"));
            let mut field = Schema::of(kind);
            field.optional = null;
            schema.fields.push(Field { name: name.clone(), schema: Arc::new(field) });
            values.push((name, if null { Value::Null } else { value }));
        }
        Datum::Decoded { schema: Some(Arc::new(schema)), value: Value::Map(values) }
    })
}

proptest! {
    #[test]
    fn bytes_survive_the_converters_that_take_any(payload in proptest::collection::vec(any::<u8>(), 8..9)) {
        let payload = Bytes::from(payload);
        for (class, width) in [("bytes", 8), ("short", 2), ("integer", 4), ("long", 8), ("float", 4), ("double", 8)] {
            let converter = make(class, &[]);
            let payload = payload.slice(..width);
            let datum = converter.decode("", &[Some(payload.clone())]).remove(0).unwrap();
            // The bits of what is no number are not kept.
            if !matches!(datum.value(), Value::Float(float) if float.is_nan()) {
                prop_assert_eq!(converter.encode("", &[&datum]).remove(0).unwrap().unwrap(), payload, "{}", class);
            }
        }
    }

    #[test]
    fn text_survives(text in ".{0,24}") {
        for encoding in ["UTF-8", "UTF-16", "UTF-16BE", "UTF-16LE"] {
            let converter = make("string", &[("converter.encoding", encoding)]);
            let datum = Datum::schemaless(Value::Str(text.clone().into()));
            let payload = converter.encode("", &[&datum]).remove(0).unwrap();
            prop_assert_eq!(converter.decode("", &[payload]).remove(0).unwrap().value(), datum.value(), "{}", encoding);
        }
    }

    #[test]
    fn structs_survive_the_envelope(datum in datum()) {
        for format in ["BASE64", "NUMERIC"] {
            let converter = make("json", &[("decimal.format", format)]);
            let payload = converter.encode("", &[&datum]).remove(0).unwrap();
            prop_assert_eq!(&converter.decode("", &[payload]).remove(0).unwrap(), &datum);
        }
    }

    #[test]
    fn decimals_survive_in_both_formats(
        unscaled in proptest::collection::vec(any::<u8>(), 1..40), scale in -20_i32..40
    ) {
        let mut schema = Schema::of(Type::Bytes);
        schema.name = Some("org.apache.kafka.connect.data.Decimal".into());
        schema.parameters = vec![("scale".into(), scale.to_string().into())];
        let shortest = Decimal { unscaled: unscaled.into(), scale };
        let shortest = Decimal::from_digits(shortest.is_negative(), &shortest.digits().unwrap(), scale).unwrap();
        let datum = Datum::Decoded { schema: Some(Arc::new(schema)), value: Value::Decimal(shortest) };
        for format in ["BASE64", "NUMERIC"] {
            let converter = make("json", &[("decimal.format", format)]);
            let payload = converter.encode("", &[&datum]).remove(0).unwrap();
            prop_assert_eq!(&converter.decode("", &[payload]).remove(0).unwrap(), &datum, "{}", format);
        }
    }
}
