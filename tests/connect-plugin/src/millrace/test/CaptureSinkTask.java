package millrace.test;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collection;
import java.util.Map;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.header.Header;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/** See {@link CaptureSinkConnector}. */
public final class CaptureSinkTask extends SinkTask {
  private Path file;

  @Override
  public String version() {
    return "1";
  }

  @Override
  public void start(Map<String, String> settings) {
    file = Path.of(settings.get("file"));
  }

  @Override
  public void put(Collection<SinkRecord> records) {
    StringBuilder lines = new StringBuilder();
    for (SinkRecord record : records) {
      line(record, lines);
      lines.append('\n');
    }
    append(lines);
  }

  /** After the last line, so that a reader knows that none follows. */
  @Override
  public void stop() {
    if (file != null) append("{\"closed\":true}\n");
  }

  private void append(CharSequence text) {
    try {
      Files.write(
          file, text.toString().getBytes(StandardCharsets.UTF_8), StandardOpenOption.CREATE, StandardOpenOption.APPEND);
    } catch (IOException error) {
      throw new ConnectException("cannot write " + file, error);
    }
  }

  private static void line(SinkRecord record, StringBuilder out) {
    Json json = new Json(out);
    out.append("{\"topic\":");
    json.text(record.topic());
    out.append(",\"origin\":[");
    json.text(record.originalTopic());
    out.append(',').append(record.originalKafkaPartition());
    out.append(',').append(record.originalKafkaOffset());
    out.append("],\"timestamp\":").append(record.timestamp());
    out.append(",\"timestampType\":");
    json.text(record.timestampType().toString());
    out.append(",\"key\":");
    json.datum(record.keySchema(), record.key());
    out.append(",\"value\":");
    json.datum(record.valueSchema(), record.value());
    out.append(",\"headers\":[");
    boolean first = true;
    for (Header header : record.headers()) {
      if (!first) out.append(',');
      first = false;
      out.append('[');
      json.text(header.key());
      out.append(',');
      json.datum(header.schema(), header.value());
      out.append(']');
    }
    out.append("]}");
  }
}
