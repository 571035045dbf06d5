import com.fasterxml.jackson.core.type.TypeReference;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.File;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.errors.TopicExistsException;
import org.apache.kafka.common.serialization.Serde;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.serialization.StringSerializer;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.StreamsConfig;
import org.apache.kafka.streams.Topology;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.GlobalKTable;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.processor.api.ContextualFixedKeyProcessor;
import org.apache.kafka.streams.processor.api.FixedKeyRecord;
import org.apache.kafka.streams.state.Stores;

/** Kafka Streams: orders joined with a GlobalKTable of numbers, exactly once. Runs until SIGTERM. */
public final class KafkaStreamsPeer {
    private static final int BATCH_BYTES = 1024 * 1024; // the 16 KB of the default would be a dozen orders
    private static final int COMMIT_MS = 100; // the default with exactly_once_v2; at 500 each order took a quarter more CPU
    private static final int THREADS = 1; // two, beside the broker on two cores: fewer orders, each at 40 % more CPU
    private static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        String servers = setting("BENCH_BOOTSTRAP_SERVERS");
        String output = setting("BENCH_OUTPUT");
        String numbers = output + "-numbers";
        fill(servers, numbers, new File(setting("BENCH_NUMBERS")));

        File state = Files.createTempDirectory("kafka-streams-peer").toFile();
        Topology topology = topology(setting("BENCH_ORDERS"), numbers, output);
        KafkaStreams streams = new KafkaStreams(topology, settings(servers, setting("BENCH_GROUP"), state));
        streams.setUncaughtExceptionHandler(why -> {
            why.printStackTrace();
            Runtime.getRuntime().halt(1); // whoever measures sees that it has ended
            return StreamThreadExceptionResponse.SHUTDOWN_CLIENT;
        });
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            streams.close(Duration.ofSeconds(10));
            delete(state);
        }));
        streams.start();
    }

    private static Topology topology(String orders, String numbers, String output) {
        StreamsBuilder builder = new StreamsBuilder();
        GlobalKTable<String, String> held = builder.globalTable(
            numbers,
            Consumed.with(Serdes.String(), Serdes.String()),
            Materialized.<String, String>as(Stores.inMemoryKeyValueStore("numbers")).withCachingDisabled());
        builder.stream(orders, Consumed.with(Serdes.ByteArray(), json()))
            .leftJoin(held, (key, order) -> relationship(order), KafkaStreamsPeer::enriched)
            .processValues(Cause::new)
            .to(output, Produced.with(Serdes.ByteArray(), json()));
        return builder.build();
    }

    private static String relationship(JsonNode order) {
        return order.path("supplier_id").asText() + "/" + order.path("customer_id").asText();
    }

    private static JsonNode enriched(JsonNode order, String number) {
        ObjectNode answer = JSON.createObjectNode();
        answer.putObject("customer_number").put("number", number).put("source", number == null ? "none" : "partner");
        return answer.set("order", order);
    }

    /** What came with the order, and two headers more. */
    private static final class Cause extends ContextualFixedKeyProcessor<byte[], JsonNode, JsonNode> {
        private static final byte[] NOTHING = "-".getBytes(StandardCharsets.UTF_8);

        @Override
        public void process(FixedKeyRecord<byte[], JsonNode> record) {
            record.headers().add("ce_causationid", NOTHING).add("ce_causationsource", NOTHING);
            context().forward(record);
        }
    }

    private static Serde<JsonNode> json() {
        return Serdes.serdeFrom(
            (topic, order) -> {
                try {
                    return JSON.writeValueAsBytes(order);
                } catch (IOException why) {
                    throw new UncheckedIOException(why);
                }
            },
            (topic, bytes) -> {
                try {
                    return bytes == null ? null : JSON.readTree(bytes);
                } catch (IOException why) {
                    throw new UncheckedIOException(why);
                }
            });
    }

    private static Properties settings(String servers, String group, File state) {
        Properties settings = new Properties();
        settings.put(StreamsConfig.APPLICATION_ID_CONFIG, group);
        settings.put(StreamsConfig.BOOTSTRAP_SERVERS_CONFIG, servers);
        settings.put(StreamsConfig.STATE_DIR_CONFIG, state.getPath());
        settings.put(StreamsConfig.PROCESSING_GUARANTEE_CONFIG, StreamsConfig.EXACTLY_ONCE_V2);
        settings.put(StreamsConfig.COMMIT_INTERVAL_MS_CONFIG, COMMIT_MS);
        settings.put(StreamsConfig.NUM_STREAM_THREADS_CONFIG, THREADS);
        settings.put(StreamsConfig.consumerPrefix(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG), "earliest");
        settings.put(StreamsConfig.producerPrefix(ProducerConfig.BATCH_SIZE_CONFIG), BATCH_BYTES);
        return settings;
    }

    /** The numbers as a compacted topic of one partition: what the table is read from. */
    private static void fill(String servers, String topic, File numbers) throws Exception {
        Map<String, Object> client = Map.of("bootstrap.servers", servers);
        NewTopic compacted = new NewTopic(topic, 1, (short) 1)
            .configs(Map.of(TopicConfig.CLEANUP_POLICY_CONFIG, TopicConfig.CLEANUP_POLICY_COMPACT));
        try (Admin admin = Admin.create(client)) {
            admin.createTopics(List.of(compacted)).all().get();
        } catch (ExecutionException why) {
            if (!(why.getCause() instanceof TopicExistsException)) {
                throw why;
            }
        }
        Map<String, String> held = JSON.readValue(numbers, new TypeReference<>() {});
        try (var producer = new KafkaProducer<>(client, new StringSerializer(), new StringSerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            held.forEach((relationship, number) ->
                sent.add(producer.send(new ProducerRecord<>(topic, relationship, number))));
            for (Future<RecordMetadata> one : sent) {
                one.get();
            }
        }
    }

    private static void delete(File file) {
        File[] inside = file.listFiles();
        for (File one : inside == null ? new File[0] : inside) {
            delete(one);
        }
        file.delete();
    }

    private static String setting(String name) {
        String value = System.getenv(name);
        if (value == null) {
            throw new IllegalStateException(name + " is not set");
        }
        return value;
    }

    private KafkaStreamsPeer() {}
}
