package millrace.test;

import java.util.Collections;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.connect.connector.Task;
import org.apache.kafka.connect.sink.SinkConnector;

/** Writes what a sink task receives to a file, one JSON line per record, as Millrace's {@code capture-sink} does. For tests. */
public final class CaptureSinkConnector extends SinkConnector {
  private Map<String, String> settings;

  @Override
  public String version() {
    return "1";
  }

  @Override
  public void start(Map<String, String> settings) {
    this.settings = settings;
  }

  @Override
  public void stop() {}

  @Override
  public Class<? extends Task> taskClass() {
    return CaptureSinkTask.class;
  }

  @Override
  public List<Map<String, String>> taskConfigs(int most) {
    return Collections.nCopies(most, settings);
  }

  @Override
  public ConfigDef config() {
    return new ConfigDef()
        .define("file", ConfigDef.Type.STRING, ConfigDef.Importance.HIGH, "The file that the lines are appended to.");
  }
}
