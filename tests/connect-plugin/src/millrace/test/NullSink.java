package millrace.test;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.Collection;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.errors.ConnectException;
import org.apache.kafka.connect.sink.SinkConnector;
import org.apache.kafka.connect.sink.SinkRecord;
import org.apache.kafka.connect.sink.SinkTask;

/**
 * Takes every record and keeps none: what everything before a store costs in Kafka Connect. After {@code expect} records it
 * writes the milliseconds of the first and of the last, and the count, into the file {@code report}. One task only.
 */
public final class NullSink extends SinkConnector {
  private Map<String, String> config = Map.of();

  @Override
  public String version() {
    return "1";
  }

  @Override
  public void start(Map<String, String> config) {
    this.config = config;
  }

  @Override
  public void stop() {}

  @Override
  public Class<? extends Task> taskClass() {
    return Sink.class;
  }

  @Override
  public List<Map<String, String>> taskConfigs(int tasks) {
    return Collections.nCopies(1, config);
  }

  @Override
  public ConfigDef config() {
    return new ConfigDef()
        .define("expect", ConfigDef.Type.LONG, ConfigDef.Importance.HIGH, "records until the report is written")
        .define("report", ConfigDef.Type.STRING, ConfigDef.Importance.HIGH, "file of the report");
  }

  /** The running task. */
  public static final class Sink extends SinkTask {
    private long expect;
    private Path report = Path.of("");
    private long first;
    private long count;

    @Override
    public String version() {
      return "1";
    }

    @Override
    public void start(Map<String, String> config) {
      expect = Long.parseLong(config.get("expect"));
      report = Path.of(config.get("report"));
    }

    @Override
    public void put(Collection<SinkRecord> records) {
      if (records.isEmpty()) {
        return;
      }
      if (count == 0) {
        first = System.currentTimeMillis();
      }
      boolean before = count < expect;
      count += records.size();
      if (before && count >= expect) {
        try {
          Path whole = Path.of(report + ".new");
          Files.writeString(whole, first + " " + System.currentTimeMillis() + " " + count + "\n");
          Files.move(whole, report, StandardCopyOption.ATOMIC_MOVE);
        } catch (IOException error) {
          throw new ConnectException("cannot write " + report, error);
        }
      }
    }

    @Override
    public void stop() {}
  }
}
