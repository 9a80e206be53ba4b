package millrace.test;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.util.Date;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.Struct;

/**
 * Connect's data as JSON in which nothing is lost: integers as numbers, text as text, everything else as a map with one
 * entry that names its kind. The widths of numbers are told by the schema alone.
 */
final class Json {
  private final StringBuilder out;

  Json(StringBuilder out) {
    this.out = out;
  }

  void datum(Schema schema, Object value) {
    out.append("{\"schema\":");
    schema(schema);
    out.append(",\"value\":");
    value(value);
    out.append('}');
  }

  void schema(Schema schema) {
    if (schema == null) {
      out.append("null");
      return;
    }
    out.append("{\"type\":");
    text(schema.type().name());
    out.append(",\"optional\":").append(schema.isOptional());
    if (schema.name() != null) {
      out.append(",\"name\":");
      text(schema.name());
    }
    if (schema.version() != null) out.append(",\"version\":").append(schema.version());
    if (schema.doc() != null) {
      out.append(",\"doc\":");
      text(schema.doc());
    }
    if (schema.defaultValue() != null) {
      out.append(",\"default\":");
      value(schema.defaultValue());
    }
    if (schema.parameters() != null && !schema.parameters().isEmpty()) {
      out.append(",\"parameters\":");
      value(schema.parameters());
    }
    switch (schema.type()) {
      case STRUCT:
        out.append(",\"fields\":[");
        String separator = "";
        for (Field field : schema.fields()) {
          out.append(separator).append('[');
          separator = ",";
          text(field.name());
          out.append(',');
          schema(field.schema());
          out.append(']');
        }
        out.append(']');
        break;
      case MAP:
        out.append(",\"keys\":");
        schema(schema.keySchema());
        out.append(",\"values\":");
        schema(schema.valueSchema());
        break;
      case ARRAY:
        out.append(",\"values\":");
        schema(schema.valueSchema());
        break;
      default:
    }
    out.append('}');
  }

  void value(Object value) {
    if (value == null || value instanceof Boolean || value instanceof Byte || value instanceof Short
        || value instanceof Integer || value instanceof Long) {
      out.append(value);
    } else if (value instanceof String) {
      text((String) value);
    } else if (value instanceof Float || value instanceof Double) {
      tagged("float", Long.toHexString(Double.doubleToLongBits(((Number) value).doubleValue())));
    } else if (value instanceof byte[]) {
      tagged("bytes", HexFormat.of().formatHex((byte[]) value));
    } else if (value instanceof ByteBuffer) {
      ByteBuffer buffer = ((ByteBuffer) value).duplicate();
      byte[] bytes = new byte[buffer.remaining()];
      buffer.get(bytes);
      tagged("bytes", HexFormat.of().formatHex(bytes));
    } else if (value instanceof BigDecimal) {
      BigDecimal decimal = (BigDecimal) value;
      tagged("decimal", decimal.unscaledValue() + "e" + -decimal.scale());
    } else if (value instanceof BigInteger) {
      tagged("decimal", value + "e0");
    } else if (value instanceof Date) {
      tagged("date", Long.toString(((Date) value).getTime()));
    } else if (value instanceof Struct) {
      struct((Struct) value);
    } else if (value instanceof Map) {
      map((Map<?, ?>) value);
    } else if (value instanceof List) {
      list((List<?>) value);
    } else {
      tagged("other", value.getClass().getName() + " " + value);
    }
  }

  private void tagged(String kind, String text) {
    out.append("{\"").append(kind).append("\":");
    text(text);
    out.append('}');
  }

  /** Null where the record has nothing, whatever the schema's default. */
  private void struct(Struct struct) {
    out.append("{\"struct\":[");
    String separator = "";
    for (Field field : struct.schema().fields()) {
      out.append(separator).append('[');
      separator = ",";
      text(field.name());
      out.append(',');
      value(struct.getWithoutDefault(field.name()));
      out.append(']');
    }
    out.append("]}");
  }

  private void map(Map<?, ?> map) {
    out.append("{\"map\":[");
    String separator = "";
    for (Map.Entry<?, ?> entry : map.entrySet()) {
      out.append(separator).append('[');
      separator = ",";
      value(entry.getKey());
      out.append(',');
      value(entry.getValue());
      out.append(']');
    }
    out.append("]}");
  }

  private void list(List<?> list) {
    out.append('[');
    String separator = "";
    for (Object item : list) {
      out.append(separator);
      separator = ",";
      value(item);
    }
    out.append(']');
  }

  /** ASCII only; text that is not well-formed is given by its UTF-16 units, which no JSON reader would refuse. */
  void text(String text) {
    if (text == null) {
      out.append("null");
      return;
    }
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))) {
        i++;
      } else if (Character.isSurrogate(c)) {
        StringBuilder units = new StringBuilder();
        text.chars().forEach(unit -> units.append(String.format("%04x", unit)));
        tagged("utf16", units.toString());
        return;
      }
    }
    out.append('"');
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (c == '"' || c == '\\') {
        out.append('\\').append(c);
      } else if (c < 0x20 || c > 0x7e) {
        out.append(String.format("\\u%04x", (int) c));
      } else {
        out.append(c);
      }
    }
    out.append('"');
  }
}
