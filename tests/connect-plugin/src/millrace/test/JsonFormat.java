package millrace.test;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;

/** JSON with a JSON Schema by Jackson; of the schema it knows what the comparison uses. */
final class JsonFormat implements RegistryConverter.Format {
  @Override
  public String kind() {
    return "JSON";
  }

  @Override
  public SchemaAndValue read(String text, ByteBuffer in) throws Exception {
    JsonNode value = RegistryConverter.JACKSON.readTree(in.array(), in.position(), in.remaining());
    if (value.isNull()) return SchemaAndValue.NULL;
    Schema schema = schema(RegistryConverter.JACKSON.readTree(text)).build();
    return new SchemaAndValue(schema, value(schema, value));
  }

  private static SchemaBuilder schema(JsonNode json) {
    if (json.has("oneOf")) {
      // null and something
      for (JsonNode branch : json.get("oneOf")) {
        if (!branch.path("type").asText().equals("null")) return schema(branch).optional();
      }
    }
    switch (json.path("type").asText()) {
      case "integer": return SchemaBuilder.int64();
      case "number": return SchemaBuilder.float64();
      case "string": return SchemaBuilder.string();
      case "boolean": return SchemaBuilder.bool();
      case "array": return SchemaBuilder.array(schema(json.get("items")).build());
      case "object":
        if (json.path("connect.type").asText().equals("map")) {
          Schema values = schema(json.get("additionalProperties")).build();
          return SchemaBuilder.map(Schema.STRING_SCHEMA, values);
        }
        SchemaBuilder struct = SchemaBuilder.struct();
        List<Map.Entry<String, JsonNode>> fields = new ArrayList<>();
        fields.addAll(json.get("properties").properties());
        fields.sort(Comparator.comparingInt(field -> field.getValue().path("connect.index").asInt()));
        fields.forEach(field -> struct.field(field.getKey(), schema(field.getValue()).build()));
        return struct;
      default: throw new DataException("no type: " + json);
    }
  }

  private static Object value(Schema schema, JsonNode json) {
    if (json.isNull()) {
      if (!schema.isOptional()) throw new DataException("null where there must be something");
      return null;
    }
    switch (schema.type()) {
      case INT64:
        if (!json.isIntegralNumber() || !json.canConvertToLong()) throw new DataException("no long: " + json);
        return json.longValue();
      case FLOAT64:
        if (!json.isNumber()) throw new DataException("no number: " + json);
        return json.doubleValue();
      case BOOLEAN:
        if (!json.isBoolean()) throw new DataException("no boolean: " + json);
        return json.booleanValue();
      case STRING:
        if (!json.isTextual()) throw new DataException("no text: " + json);
        return json.textValue();
      case ARRAY:
        List<Object> list = new ArrayList<>();
        json.forEach(item -> list.add(value(schema.valueSchema(), item)));
        return list;
      case MAP:
        Map<String, Object> map = new LinkedHashMap<>();
        json.properties().forEach(entry -> map.put(entry.getKey(), value(schema.valueSchema(), entry.getValue())));
        return map;
      default:
        if (!json.isObject()) throw new DataException("no object: " + json);
        Struct struct = new Struct(schema);
        // What is absent is null, whether or not the field may be.
        for (Field field : schema.fields()) {
          if (json.has(field.name())) struct.put(field, value(field.schema(), json.get(field.name())));
        }
        return struct;
    }
  }

  @Override
  public String describe(Schema schema) {
    ObjectNode json = RegistryConverter.JACKSON.createObjectNode().put("type", "object");
    ObjectNode properties = json.putObject("properties");
    for (Field field : schema.fields()) {
      ObjectNode property = properties.putObject(field.name()).put("connect.index", field.index());
      switch (field.schema().type()) {
        case INT8: case INT16: case INT32: case INT64: property.put("type", "integer"); break;
        case FLOAT32: case FLOAT64: property.put("type", "number"); break;
        case BOOLEAN: property.put("type", "boolean"); break;
        default: property.put("type", "string");
      }
    }
    return json.toString();
  }

  @Override
  public byte[] write(String text, Struct value) throws Exception {
    ObjectNode json = RegistryConverter.JACKSON.createObjectNode();
    for (Field field : value.schema().fields()) json.putPOJO(field.name(), value.get(field));
    return RegistryConverter.JACKSON.writeValueAsBytes(json);
  }
}
