package millrace.test;

import com.google.protobuf.ByteString;
import com.google.protobuf.Descriptors.Descriptor;
import com.google.protobuf.Descriptors.EnumValueDescriptor;
import com.google.protobuf.Descriptors.FieldDescriptor;
import com.google.protobuf.Descriptors.FileDescriptor;
import com.google.protobuf.Descriptors.OneofDescriptor;
import com.google.protobuf.DynamicMessage;
import com.google.protobuf.Message;
import io.apicurio.registry.utils.protobuf.schema.FileDescriptorUtils;
import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.kafka.connect.data.Field;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.SchemaBuilder;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.data.Timestamp;
import org.apache.kafka.connect.errors.DataException;

/** Protobuf by Google's library; Connect's schemas are built as far as values need them. */
final class ProtobufFormat implements RegistryConverter.Format {
  private static final Pattern PACKAGE = Pattern.compile("\\bpackage\\s+([\\w.]+)\\s*;");

  @Override
  public String kind() {
    return "PROTOBUF";
  }

  private static FileDescriptor parse(String schema) throws Exception {
    Matcher named = PACKAGE.matcher(schema);
    Optional<String> name = named.find() ? Optional.of(named.group(1)) : Optional.empty();
    return FileDescriptorUtils.protoFileToFileDescriptor(schema, "compared.proto", name);
  }

  @Override
  public SchemaAndValue read(String text, ByteBuffer in) throws Exception {
    Descriptor message = place(parse(text), in);
    DynamicMessage value = DynamicMessage.parseFrom(message, ByteString.copyFrom(in));
    Schema schema = schema(message).build();
    return new SchemaAndValue(schema, struct(schema, value));
  }

  /** The message at the place that stands before the data; nothing but a zero is the first one. */
  private static Descriptor place(FileDescriptor file, ByteBuffer in) {
    int depth = number(in);
    Descriptor message = file.getMessageTypes().get(depth == 0 ? 0 : number(in));
    for (int level = 1; level < depth; level++) {
      int index = number(in);
      message = message.getNestedTypes().stream().filter(one -> !one.getOptions().getMapEntry()).toList().get(index);
    }
    return message;
  }

  private static int number(ByteBuffer in) {
    int bits = 0;
    for (int shift = 0; shift < 35; shift += 7) {
      byte next = in.get();
      bits |= (next & 0x7f) << shift;
      if (next >= 0) return (bits >>> 1) ^ -(bits & 1);
    }
    throw new DataException("a number has no end");
  }

  private static String name(OneofDescriptor oneof) {
    return oneof.getName() + "_" + oneof.getIndex();
  }

  private static List<FieldDescriptor> plain(Descriptor message) {
    return message.getFields().stream().filter(one -> one.getRealContainingOneof() == null)
        .sorted(Comparator.comparingInt(FieldDescriptor::getNumber)).toList();
  }

  private static SchemaBuilder schema(Descriptor message) {
    SchemaBuilder struct = SchemaBuilder.struct().optional();
    for (OneofDescriptor oneof : message.getRealOneofs()) {
      SchemaBuilder union = SchemaBuilder.struct().optional();
      oneof.getFields().forEach(field -> union.field(field.getName(), one(field).optional().build()));
      struct.field(name(oneof), union.build());
    }
    // In the order of their numbers, as Confluent's converter has them.
    for (FieldDescriptor field : plain(message)) {
      SchemaBuilder one;
      if (field.isMapField()) {
        List<FieldDescriptor> entry = field.getMessageType().getFields();
        one = SchemaBuilder.map(one(entry.get(0)).optional().build(), one(entry.get(1)).optional().build()).optional();
      } else if (field.isRepeated()) {
        one = SchemaBuilder.array(one(field).optional().build()).optional();
      } else {
        one = one(field).optional();
      }
      struct.field(field.getName(), one.build());
    }
    return struct;
  }

  private static SchemaBuilder one(FieldDescriptor field) {
    switch (field.getType()) {
      case INT32: case SINT32: case SFIXED32: return SchemaBuilder.int32();
      case UINT32: case FIXED32: case INT64: case SINT64: case SFIXED64: case UINT64: case FIXED64: return SchemaBuilder.int64();
      case DOUBLE: return SchemaBuilder.float64();
      case FLOAT: return SchemaBuilder.float32();
      case BOOL: return SchemaBuilder.bool();
      case BYTES: return SchemaBuilder.bytes();
      case STRING: case ENUM: return SchemaBuilder.string();
      default: return isTimestamp(field.getMessageType()) ? Timestamp.builder() : schema(field.getMessageType());
    }
  }

  private static boolean isTimestamp(Descriptor message) {
    return message.getFullName().equals("google.protobuf.Timestamp");
  }

  private static Struct struct(Schema schema, Message message) {
    Struct struct = new Struct(schema);
    Descriptor type = message.getDescriptorForType();
    for (OneofDescriptor oneof : type.getRealOneofs()) {
      FieldDescriptor set = message.getOneofFieldDescriptor(oneof);
      if (set == null) continue;
      Struct union = new Struct(schema.field(name(oneof)).schema());
      union.put(set.getName(), value(union.schema().field(set.getName()).schema(), set, message.getField(set)));
      struct.put(name(oneof), union);
    }
    for (FieldDescriptor field : plain(type)) {
      Schema inner = schema.field(field.getName()).schema();
      Object value = message.getField(field);
      if (field.isMapField()) {
        Map<Object, Object> map = new TreeMap<>();
        for (Object each : (List<?>) value) {
          Message entry = (Message) each;
          List<FieldDescriptor> parts = field.getMessageType().getFields();
          map.put(value(inner.keySchema(), parts.get(0), entry.getField(parts.get(0))),
              value(inner.valueSchema(), parts.get(1), entry.getField(parts.get(1))));
        }
        struct.put(field.getName(), map);
      } else if (field.isRepeated()) {
        List<Object> list = new ArrayList<>();
        ((List<?>) value).forEach(each -> list.add(value(inner.valueSchema(), field, each)));
        struct.put(field.getName(), list);
      } else if (!field.hasPresence() || message.hasField(field)) {
        struct.put(field.getName(), value(inner, field, value));
      }
    }
    return struct;
  }

  private static Object value(Schema schema, FieldDescriptor field, Object value) {
    switch (field.getType()) {
      case UINT32: case FIXED32: return Integer.toUnsignedLong((Integer) value);
      case BYTES: return ((ByteString) value).toByteArray();
      case ENUM: return ((EnumValueDescriptor) value).getName();
      case MESSAGE:
        Message message = (Message) value;
        if (!isTimestamp(message.getDescriptorForType())) return struct(schema, message);
        List<FieldDescriptor> parts = message.getDescriptorForType().getFields();
        long seconds = (Long) message.getField(parts.get(0));
        return new Date(Math.addExact(seconds * 1000, (Integer) message.getField(parts.get(1)) / 1_000_000));
      default: return value;
    }
  }

  /** The message lies within another, so that its place is more than a zero. */
  @Override
  public String describe(Schema schema) {
    StringBuilder text = new StringBuilder("syntax = \"proto3\"; message First {} message Outer { message Inner {");
    int number = 1;
    for (Field field : schema.fields()) {
      String type;
      switch (field.schema().type()) {
        case INT8: case INT16: case INT32: type = "sint32"; break;
        case INT64: type = "int64"; break;
        case FLOAT32: type = "float"; break;
        case FLOAT64: type = "double"; break;
        case BOOLEAN: type = "bool"; break;
        case BYTES: type = "bytes"; break;
        default: type = "string";
      }
      text.append(" optional ").append(type).append(' ').append(field.name()).append(" = ").append(number++).append(';');
    }
    return text.append(" } }").toString();
  }

  @Override
  public byte[] write(String text, Struct value) throws Exception {
    Descriptor type = parse(text).findMessageTypeByName("Outer").findNestedTypeByName("Inner");
    DynamicMessage.Builder message = DynamicMessage.newBuilder(type);
    for (Field field : value.schema().fields()) {
      Object one = value.get(field);
      if (one == null) continue;
      boolean small = one instanceof Byte || one instanceof Short;
      message.setField(type.findFieldByName(field.name()), small ? (Object) ((Number) one).intValue() : one);
    }
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(new byte[] {4, 2, 0});
    message.build().writeTo(out);
    return out.toByteArray();
  }
}
