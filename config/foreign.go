package config

import "strings"

// javaNames are settings of the Confluent proxy and its web server that have
// no meaning in this program. A name that ends in * stands for all that begin so.
var javaNames = []struct{ name, why string }{
	{"zookeeper.connect", "ZooKeeper is not used"},
	{"consumer.threads", "there is no thread pool"},
	{"consumer.iterator.*", "reads wait for Kafka without polling"},
	{"producer.threads", "there is no thread pool"},
	{"simpleconsumer.*", "there is no pool of simple consumers"},
	{"thread.pool.*", "there is no thread pool"},
	{"request.queue.*", "there is no request queue"},
	{"max.response.header.size", "answers have short headers"},
	{"fetch.min.bytes", "an instance says its own"},
	{"metric.reporters", "a Java class"},
	{"metrics.*", "JMX metrics do not exist here"},
	{"jmx.*", "JMX does not exist here"},
	{"websocket.*", "there are no web sockets"},
	{"servlet.*", "there are no servlets"},
	{"request.logger.name", "request.log turns the request log on"},
	{"debug", "log.level says how much is logged"},
	{"compression.enable", "answers are compressed when asked for"},
	{"http2.enabled", "HTTP/1.1 is spoken"},
	{"response.mediatype.*", "Accept is negotiated as the API documents it"},
	{"reject.options.request", "OPTIONS is answered"},
	{"access.control.skip.options", "OPTIONS is answered"},
	{"response.http.headers.config", "answers carry no configured headers"},
	{"nosniff.prevention.enable", "every answer has X-Content-Type-Options: nosniff"},
	{"suppress.stack.trace.response", "answers never hold a stack trace"},
	{"listener.protocol.map", "listeners are http:// or https://"},
	{"sni.*", "any server name is answered"},
	{"ssl.provider", "TLS is Go's"},
	{"ssl.protocol", "ssl.enabled.protocols says the versions"},
	{"ssl.keymanager.algorithm", "TLS is Go's"},
	{"ssl.trustmanager.algorithm", "TLS is Go's"},
	{"ssl.keystore.reload", "key stores are read at start"},
	{"ssl.keystore.watch.location", "key stores are read at start"},
	{"ssl.endpoint.identification.algorithm", "a node has no host name to check; client.ssl.endpoint.identification.algorithm is for Kafka"},
	{"rate.limit.*", "there are no rate limits yet"},
	{"api.v3.*", "the v3 API does not exist yet"},
	{"streaming.*", "the v3 API does not exist yet"},
	{"schema.registry.max.schemas.per.subject", "schema.registry.cache.size bounds the schemas in memory"},
	{"schema.registry.*", "no setting of this program's client of the registry"},
	{"confluent.*", "a setting of Confluent's own plugins"},
	{"crn.*", "a setting of Confluent's own plugins"},
	{"client.timeout.ms", "client.request.timeout.ms bounds a request"},
	{"client.init.timeout.ms", "the client connects when it is needed"},
	{"client.zookeeper.*", "ZooKeeper is not used"},
}

// javaClientNames are settings of Kafka's Java clients, written after client.,
// admin., producer. or consumer., that have no meaning in this program.
var javaClientNames = []struct{ name, why string }{
	{"interceptor.classes", "a Java class"},
	{"key.serializer", "a Java class"},
	{"value.serializer", "a Java class"},
	{"key.deserializer", "a Java class"},
	{"value.deserializer", "a Java class"},
	{"metric.reporters", "a Java class"},
	{"partitioner.*", "records are partitioned as Java's default does"},
	{"partition.assignment.strategy", "a Java class"},
	{"group.remote.assignor", "the broker's default is used"},
	{"security.providers", "a Java class"},
	{"sasl.client.callback.handler.class", "a Java class"},
	{"sasl.login.*", "a Java class or its settings"},
	{"sasl.kerberos.*", "Kerberos is not supported"},
	{"sasl.oauthbearer.*", "OAUTHBEARER is not supported"},
	{"ssl.engine.factory.class", "a Java class"},
	{"ssl.keymanager.algorithm", "TLS is Go's"},
	{"ssl.trustmanager.algorithm", "TLS is Go's"},
	{"ssl.protocol", "ssl.enabled.protocols says the versions"},
	{"ssl.provider", "TLS is Go's"},
	{"ssl.secure.random.implementation", "TLS is Go's"},
	{"config.providers*", "values with ${…} are refused"},
	{"metrics.*", "JMX metrics do not exist here"},
	{"enable.metrics.push", "metrics are not pushed to brokers"},
	{"max.block.ms", "a full buffer refuses at once, and produce.timeout.ms bounds the wait"},
	{"default.api.timeout.ms", "metadata.timeout.ms and produce.timeout.ms bound the waits"},
	{"receive.buffer.bytes", "the system sizes socket buffers"},
	{"send.buffer.bytes", "the system sizes socket buffers"},
	{"reconnect.backoff.*", "the client has its own pace"},
	{"retry.backoff.*", "the client has its own pace"},
	{"socket.connection.setup.timeout.max.ms", "socket.connection.setup.timeout.ms is not prolonged"},
	{"connections.max.idle.ms", "the client closes idle connections by itself"},
	{"client.dns.lookup", "every address of a name is tried"},
	{"client.rack", "consumer.client.rack says from where is read"},
	{"bootstrap.resolve.timeout.ms", "socket.connection.setup.timeout.ms bounds it"},
	{"metadata.cluster.check.enable", "the client renews metadata by itself"},
	{"metadata.max.idle.ms", "the client renews metadata by itself"},
	{"metadata.recovery.*", "the client renews metadata by itself"},
	{"buffer.memory.allocation.strategy", "there is one way to count the buffer"},
	{"transaction.*", "transactions are not used"},
	{"group.id", "a consumer's group is in its URL"},
	{"group.instance.id", "with cluster.enable it is made of an instance's name, else instances are dynamic members"},
	{"enable.auto.commit", "an instance says its own auto.commit.enable"},
	{"auto.commit.enable", "an instance says its own"},
	{"allow.auto.create.topics", "reading creates no topic"},
	{"check.crcs", "checksums are always checked"},
	{"exclude.internal.topics", "an internal topic is read when it is named"},
	{"fetch.min.bytes", "an instance says its own"},
	{"fetch.max.wait.ms", "a read says its own timeout"},
	{"max.poll.*", "max_bytes bounds an answer, consumer.instance.timeout.ms the pauses"},
	{"heartbeat.interval.ms", "the client has its own pace"},
	{"share.*", "share groups are not used"},
	{"internal.*", "internal to the Java client"},
	{"retries", "the client retries by itself"},
	{"request.timeout.ms", "client.request.timeout.ms is for all"},
	{"max.schemas.per.subject", "schema.registry.cache.size bounds the schemas in memory"},
	{"schema.registry.*", "schema.registry.… without the prefix is for all"},
	{"basic.auth.*", "no setting of this program's client of the registry"},
	{"bearer.auth.*", "no setting of this program's client of the registry"},
	{"confluent.*", "a setting of Confluent's own plugins"},
}

// javaVariables are variables of the Confluent container image and of
// Kubernetes, without KAFKA_REST_, that are no settings.
var javaVariables = []struct{ name, why string }{
	{"OPTS", "for the Java virtual machine"},
	{"HEAP_OPTS", "for the Java virtual machine"},
	{"JVM_*", "for the Java virtual machine"},
	{"JMX_*", "for the Java virtual machine"},
	{"GC_*", "for the Java virtual machine"},
	{"CLASSPATH", "for the Java virtual machine"},
	{"LOG4J_*", "log.level and log.format shape the log"},
	{"TOOLS_LOG4J_*", "log.level and log.format shape the log"},
	{"LOG_DIR", "the log goes to standard error"},
	{"CUB_*", "for the container image's start script"},
	{"SERVICE_*", "set by Kubernetes for a service of the name kafka-rest"},
	{"PORT_*", "set by Kubernetes for a service of the name kafka-rest"},
}

// dangerous are settings of the Confluent proxy that protect something and do
// not work here yet: any value but the harmless one is refused, for a node
// that quietly lacks a protection is worse than one that does not start.
var dangerous = []struct{ name, harmless, why string }{
	{"kafka.rest.resource.extension.class", "", "names a Java class, which is how security plugins are turned on; allowed: leave it out"},
	{"resource.extension.class", "", "names a Java class, which is how security plugins are turned on; allowed: leave it out"},
	{"resource.extension.classes", "", "names Java classes, which is how security plugins are turned on; allowed: leave it out"},
	{"rest.servlet.initializor.classes", "", "names Java classes, which is how security plugins are turned on; allowed: leave it out"},
	{"api.v2.enable", "true", "the v2 API cannot be turned off; allowed: true"},
	{"rate.limit.enable", "false", "rate limits are not supported yet; allowed: false"},
	{"api.v3.produce.rate.limit.enabled", "false", "rate limits are not supported yet; allowed: false"},
	{"csrf.prevention.enable", "false", "is not supported; allowed: false"},
	{"dos.filter.enabled", "false", "is not supported; allowed: false, and connections.max.per.ip"},
	{"proxy.protocol.enabled", "false", "is not supported; allowed: false"},
	{"producer.transactional.id", "", "transactions are not supported; allowed: leave it out"},
	{"server.connection.limit", "0", "has another name here; allowed: connections.max"},
	{"port", "", "has another name here; allowed: listeners=http://0.0.0.0:PORT"},
}

// refusal says why a known name with this text cannot be accepted.
func refusal(name, text string) (why string, refused bool) {
	for _, s := range dangerous {
		if s.name == name && !strings.EqualFold(strings.TrimSpace(text), s.harmless) {
			return s.why, true
		}
	}
	return "", false
}

// notUsedName says why a setting of Java's does nothing here.
func notUsedName(name string) (why string, ok bool) {
	for _, s := range dangerous {
		if s.name == name { // not refused, so it holds its harmless value
			return "it says what holds anyway", true
		}
	}
	for _, s := range javaNames {
		if fits(name, s.name) {
			return s.why, true
		}
	}
	for _, prefix := range append([]string{"client."}, sidePrefixes[:]...) {
		rest, ok := strings.CutPrefix(name, prefix)
		if !ok {
			continue
		}
		for _, s := range javaClientNames {
			if fits(rest, s.name) {
				return s.why, true
			}
		}
	}
	return "", false
}

// notUsedVariable says the same of a variable, given without its prefix.
func notUsedVariable(short, text string) (why string, ok bool) {
	if short == "PORT" && strings.Contains(text, "://") {
		short = "PORT_" // Kubernetes' tcp://host:port, not somebody's port
	}
	for _, s := range javaVariables {
		if fits(short, s.name) {
			return s.why, true
		}
	}
	return "", false
}

func fits(name, pattern string) bool {
	if prefix, open := strings.CutSuffix(pattern, "*"); open {
		return strings.HasPrefix(name, prefix)
	}
	return name == pattern
}
