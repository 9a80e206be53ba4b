package millrace.test;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.data.Schema;
import org.apache.kafka.connect.data.SchemaAndValue;
import org.apache.kafka.connect.data.Struct;
import org.apache.kafka.connect.errors.DataException;
import org.apache.kafka.connect.storage.Converter;

/**
 * Protobuf and JSON Schema with a schema registry, by other libraries than Millrace's: Google's Protobuf behind Square's
 * parser of .proto texts, and Jackson. Confluent's own converters are in no public repository. It reads every payload of
 * the comparison, and writes structs of scalars.
 */
public final class RegistryConverter implements Converter {
  static final ObjectMapper JACKSON = new ObjectMapper();

  private final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build();
  private final Map<Integer, String> schemas = new ConcurrentHashMap<>();
  private final Map<String, Integer> ids = new ConcurrentHashMap<>();
  private String url;
  private String role;
  private Format format;

  /** What follows the id of a schema. */
  interface Format {
    String kind();

    SchemaAndValue read(String schema, ByteBuffer in) throws Exception;

    String describe(Schema schema);

    byte[] write(String schema, Struct value) throws Exception;
  }

  @Override
  public void configure(Map<String, ?> config, boolean isKey) {
    url = (String) config.get("schema.registry.url");
    role = isKey ? "key" : "value";
    format = "PROTOBUF".equals(config.get("format")) ? new ProtobufFormat() : new JsonFormat();
  }

  @Override
  public ConfigDef config() {
    return new ConfigDef();
  }

  @Override
  public SchemaAndValue toConnectData(String topic, byte[] payload) {
    if (payload == null) return SchemaAndValue.NULL;
    ByteBuffer in = ByteBuffer.wrap(payload);
    if (in.remaining() < 5 || in.get() != 0) throw new DataException("Unknown magic byte!");
    try {
      String schema = schemas.computeIfAbsent(in.getInt(), id -> ask("/schemas/ids/" + id, null).get("schema").asText());
      return format.read(schema, in);
    } catch (Exception e) {
      throw new DataException("cannot be read", e);
    }
  }

  @Override
  public byte[] fromConnectData(String topic, Schema schema, Object value) {
    if (value == null) return null;
    try {
      String text = format.describe(schema);
      int id = ids.computeIfAbsent(topic + text, key -> register(topic, text));
      byte[] data = format.write(text, (Struct) value);
      return ByteBuffer.allocate(5 + data.length).put((byte) 0).putInt(id).put(data).array();
    } catch (Exception e) {
      throw new DataException("cannot be written", e);
    }
  }

  private int register(String topic, String schema) {
    String body = JACKSON.createObjectNode().put("schema", schema).put("schemaType", format.kind()).toString();
    return ask("/subjects/" + topic + "-" + role + "/versions", body).get("id").asInt();
  }

  private JsonNode ask(String path, String body) {
    HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(url + path)).header("Content-Type", "application/json");
    if (body != null) request.POST(HttpRequest.BodyPublishers.ofString(body));
    try {
      HttpResponse<String> answer = http.send(request.build(), HttpResponse.BodyHandlers.ofString());
      if (answer.statusCode() != 200) throw new DataException(path + ": " + answer.statusCode() + " " + answer.body());
      return JACKSON.readTree(answer.body());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new DataException(e);
    }
  }
}
