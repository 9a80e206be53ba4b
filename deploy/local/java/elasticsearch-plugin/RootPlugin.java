package millrace.local;
import java.util.*;
import java.util.function.*;
import java.util.regex.Pattern;
import org.apache.lucene.analysis.LowerCaseFilter;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.email.UAX29URLEmailTokenizer;
import org.apache.lucene.analysis.miscellaneous.ASCIIFoldingFilter;
import org.apache.lucene.analysis.miscellaneous.TrimFilter;
import org.apache.lucene.analysis.pattern.PatternCaptureGroupTokenFilter;
import org.apache.lucene.analysis.tokenattributes.*;
import org.apache.lucene.util.Version;
import org.elasticsearch.index.analysis.*;
import org.elasticsearch.indices.analysis.AnalysisModule;
import org.elasticsearch.Build;
import org.elasticsearch.action.admin.indices.create.AutoCreateAction;
import org.elasticsearch.action.admin.indices.create.CreateIndexRequest;
import org.elasticsearch.client.internal.node.NodeClient;
import org.elasticsearch.cluster.ClusterState;
import org.elasticsearch.cluster.metadata.DataStream;
import org.elasticsearch.cluster.node.DiscoveryNodes;
import org.elasticsearch.cluster.service.ClusterService;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.features.NodeFeature;
import org.elasticsearch.plugins.*;
import org.elasticsearch.rest.*;
import org.elasticsearch.rest.action.RestToXContentListener;
import org.elasticsearch.xcontent.XContentBuilder;
import static org.elasticsearch.rest.RestRequest.Method.*;

/** Stands in for two modules that the integ-test-zip lacks: rest-root (GET/HEAD /) and the get/create part of data-streams. */
public class RootPlugin extends Plugin implements ActionPlugin, AnalysisPlugin {
    // Analysis parts of module analysis-common that the .security index and common mappings ask for (all from lucene-analysis-common.jar)
    @Override public Map<String, AnalysisModule.AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of(
            "lowercase", (i, e, n, st) -> filter(n, LowerCaseFilter::new),
            "asciifolding", (i, e, n, st) -> filter(n, ASCIIFoldingFilter::new),
            "trim", (i, e, n, st) -> filter(n, TrimFilter::new),
            "unique", (i, e, n, st) -> filter(n, Unique::new),
            "pattern_capture", AnalysisPlugin.requiresAnalysisSettings((i, e, n, st) -> {
                Pattern[] ps = st.getAsList("patterns").stream().map(Pattern::compile).toArray(Pattern[]::new);
                boolean keep = st.getAsBoolean("preserve_original", true);
                return filter(n, t -> new PatternCaptureGroupTokenFilter(t, keep, ps));
            }));
    }
    @Override public Map<String, AnalysisModule.AnalysisProvider<TokenizerFactory>> getTokenizers() {
        return Map.of("uax_url_email", (i, e, n, st) -> TokenizerFactory.newFactory(n, UAX29URLEmailTokenizer::new));
    }
    static TokenFilterFactory filter(String name, Function<TokenStream, TokenStream> f) {
        return new TokenFilterFactory() {
            @Override public String name() { return name; }
            @Override public TokenStream create(TokenStream t) { return f.apply(t); }
        };
    }
    static final class Unique extends org.apache.lucene.analysis.TokenFilter {
        private final CharTermAttribute term = addAttribute(CharTermAttribute.class);
        private final PositionIncrementAttribute pos = addAttribute(PositionIncrementAttribute.class);
        private final Set<String> seen = new HashSet<>();
        Unique(TokenStream in) { super(in); }
        @Override public boolean incrementToken() throws java.io.IOException {
            int skip = 0;
            while (input.incrementToken()) {
                if (seen.add(term.toString())) { pos.setPositionIncrement(pos.getPositionIncrement() + skip); return true; }
                skip += pos.getPositionIncrement();
            }
            return false;
        }
        @Override public void reset() throws java.io.IOException { super.reset(); seen.clear(); }
    }
    private volatile ClusterService cs;
    @Override public Collection<?> createComponents(PluginServices s) { cs = s.clusterService(); return List.of(); }
    @Override public Collection<RestHandler> getRestHandlers(RestHandlersServices s, Supplier<DiscoveryNodes> n, Predicate<NodeFeature> f) {
        return List.of(new Root(), new DataStreams());
    }
    class Root extends BaseRestHandler {
        @Override public String getName() { return "millrace_root"; }
        @Override public List<Route> routes() { return List.of(new Route(GET, "/"), new Route(HEAD, "/")); }
        @Override protected Set<String> responseParams() { return Set.of("pretty"); }
        @Override protected RestChannelConsumer prepareRequest(RestRequest r, NodeClient c) {
            return ch -> {
                Build b = Build.current(); ClusterState st = cs.state();
                XContentBuilder x = ch.newBuilder().prettyPrint();
                x.startObject().field("name", cs.getNodeName()).field("cluster_name", cs.getClusterName().value())
                 .field("cluster_uuid", st.metadata().clusterUUID());
                x.startObject("version").field("number", b.qualifiedVersion()).field("build_flavor", b.flavor())
                 .field("build_type", b.type().displayName()).field("build_hash", b.hash()).field("build_date", b.date())
                 .field("build_snapshot", b.isSnapshot()).field("lucene_version", Version.LATEST.toString())
                 .field("minimum_wire_compatibility_version", b.minWireCompatVersion())
                 .field("minimum_index_compatibility_version", b.minIndexCompatVersion()).endObject();
                x.field("tagline", "You Know, for Search").endObject();
                ch.sendResponse(new RestResponse(RestStatus.OK, x));
            };
        }
    }
    class DataStreams extends BaseRestHandler {
        @Override public String getName() { return "millrace_data_streams"; }
        @Override public List<Route> routes() {
            return List.of(new Route(GET, "/_data_stream"), new Route(GET, "/_data_stream/{name}"), new Route(PUT, "/_data_stream/{name}"));
        }
        @Override protected RestChannelConsumer prepareRequest(RestRequest r, NodeClient c) {
            String name = r.param("name", "*");
            if (r.method() == PUT) {
                // AutoCreateAction (server) makes a data stream when the matching template says so
                return ch -> c.execute(AutoCreateAction.INSTANCE, new CreateIndexRequest(name), new RestToXContentListener<>(ch));
            }
            return ch -> {
                ClusterState st = cs.state();
                XContentBuilder x = ch.newBuilder(); boolean any = false;
                x.startObject().startArray("data_streams");
                for (DataStream d : new TreeMap<>(st.metadata().getProject().dataStreams()).values()) {
                    if (Regex.simpleMatch(name.split(","), d.getName()) == false && name.equals("_all") == false) continue;
                    any = true;
                    x.startObject().field("name", d.getName()).startObject("timestamp_field").field("name", "@timestamp").endObject()
                     .startArray("indices");
                    for (var i : d.getIndices()) x.startObject().field("index_name", i.getName()).field("index_uuid", i.getUUID()).endObject();
                    x.endArray().field("generation", d.getGeneration()).field("hidden", d.isHidden()).field("system", d.isSystem())
                     .field("replicated", d.isReplicated()).endObject();
                }
                x.endArray().endObject();
                ch.sendResponse(new RestResponse(any || name.contains("*") ? RestStatus.OK : RestStatus.NOT_FOUND, x));
            };
        }
    }
}
