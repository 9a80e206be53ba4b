//! What is written is read back as it was, and no payload makes the reader panic.

use proptest::prelude::*;

use super::*;

fn scalar() -> BoxedStrategy<(Schema, BoxedStrategy<Value>)> {
    let of = |kind: Type, values: BoxedStrategy<Value>| (Schema::of(kind), values);
    let logical = |kind: Type, name: &str, values: BoxedStrategy<Value>| {
        let mut schema = named(kind, name);
        schema.version = Some(1);
        (schema, values)
    };
    let mut decimal = named(Type::Bytes, "org.apache.kafka.connect.data.Decimal");
    decimal.version = Some(1);
    decimal.parameters = vec![("scale".into(), "3".into())];
    let unscaled = proptest::collection::vec(any::<u8>(), 1..12);
    let decimals = unscaled.prop_map(|bytes| Value::Decimal(Decimal { unscaled: bytes.into(), scale: 3 })).boxed();
    let all = vec![
        of(Type::Int8, any::<i8>().prop_map(|v| Value::Int(v.into())).boxed()),
        of(Type::Int16, any::<i16>().prop_map(|v| Value::Int(v.into())).boxed()),
        of(Type::Int32, any::<i32>().prop_map(|v| Value::Int(v.into())).boxed()),
        of(Type::Int64, any::<i64>().prop_map(Value::Int).boxed()),
        of(Type::Float32, (-1.0e9_f32..1.0e9).prop_map(|v| Value::Float(v.into())).boxed()),
        of(Type::Float64, (-1.0e99_f64..1.0e99).prop_map(Value::Float).boxed()),
        of(Type::Boolean, any::<bool>().prop_map(Value::Bool).boxed()),
        of(Type::String, ".{0,9}".prop_map(|v| Value::Str(v.into())).boxed()),
        of(Type::Bytes, proptest::collection::vec(any::<u8>(), 0..9).prop_map(|v| Value::Bytes(v.into())).boxed()),
        logical(Type::Int32, "org.apache.kafka.connect.data.Date", any::<i32>().prop_map(Value::Date).boxed()),
        logical(Type::Int32, "org.apache.kafka.connect.data.Time", (0..86_400_001).prop_map(Value::Time).boxed()),
        logical(
            Type::Int64,
            "org.apache.kafka.connect.data.Timestamp",
            any::<i64>().prop_map(Value::Timestamp).boxed(),
        ),
        (decimal, decimals),
    ];
    proptest::sample::select(all).boxed()
}

/// A schema with values of it; `number` makes names differ.
fn any_schema() -> BoxedStrategy<(Schema, BoxedStrategy<Value>)> {
    scalar()
        .prop_recursive(3, 24, 4, |inner| {
            let array = inner.clone().prop_map(|(element, values)| {
                let schema = Schema { element: Some(Arc::new(element)), ..Schema::of(Type::Array) };
                (schema, proptest::collection::vec(values, 0..4).prop_map(Value::List).boxed())
            });
            let map = inner.clone().prop_map(|(element, values)| {
                let schema = Schema {
                    key: Some(Arc::new(Schema::of(Type::String))),
                    element: Some(Arc::new(element)),
                    ..Schema::of(Type::Map)
                };
                let entries = proptest::collection::vec((".{0,4}".prop_map(Text::from), values), 0..4);
                (schema, entries.prop_map(Value::Map).boxed())
            });
            let nullable = inner.clone().prop_map(|(schema, values)| {
                let values = prop_oneof![Just(Value::Null), values].boxed();
                (optional(schema), values)
            });
            let record = (proptest::collection::vec(inner, 0..5), any::<u32>()).prop_map(|(fields, name)| {
                let mut schema = named(Type::Struct, &format!("ns.R{name}"));
                let mut values = Just(Vec::new()).boxed();
                for (index, (of_field, field_values)) in fields.into_iter().enumerate() {
                    let name = Text::from(format!("f{index}"));
                    schema.fields.push(Field { name: name.clone(), schema: Arc::new(of_field) });
                    values = (values, field_values)
                        .prop_map(move |(mut all, value): (Vec<(Text, Value)>, Value)| {
                            all.push((name.clone(), value));
                            all
                        })
                        .boxed();
                }
                (schema, values.prop_map(Value::Map).boxed())
            });
            prop_oneof![array, map, nullable, record].boxed()
        })
        .boxed()
}

fn datum() -> impl Strategy<Value = (Schema, Value)> {
    any_schema().prop_flat_map(|(schema, values)| (Just(schema), values))
}

proptest! {
    #[test]
    fn what_is_written_is_read_back((schema, value) in datum()) {
        prop_assume!(value != Value::Null);
        let schema = Arc::new(schema);
        for settings in [&[][..], &[("enhanced.avro.schema.support", "true"), ("generalized.sum.type.support", "true")]] {
            let back = round_trip(&avro(settings), Some(&schema), &value).unwrap();
            let Datum::Decoded { schema: Some(found), value: read } = back else { panic!("no schema") };
            prop_assert_eq!(&read, &value);
            // At the top an optional schema is a union, where Avro has no place for more.
            if !schema.optional {
                prop_assert_eq!(&found, &schema);
            }
        }
    }

    #[test]
    fn no_payload_makes_the_reader_panic(payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        for schema in [ORDER, TREE, "\"string\"", r#"{"type":"array","items":{"type":"map","values":["null","long"]}}"#] {
            let _ = read(&avro(&[]), schema, &payload);
        }
    }

    #[test]
    fn no_schema_makes_the_parser_panic(text in r#"[\{\}\[\]",:a-z0-9 ]{0,40}"#) {
        let _ = read(&avro(&[]), &text, &[]);
    }
}
