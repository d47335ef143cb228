package config

import (
	"regexp"
	"strings"
)

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
	{"ssl.keystore.reload", "key stores are read again when they change"},
	{"ssl.keystore.watch.location", "key stores are read again when they change"},
	{"ssl.endpoint.identification.algorithm", "a node has no host name to check; client.ssl.endpoint.identification.algorithm is for Kafka"},
	{"rate.limit.backend", "limits are counted in this process"},
	{"rate.limit.timeout.ms", "a request over the limit is refused at once"},
	{"rate.limit.default.cost", "each request counts once"},
	{"rate.limit.costs", "each request counts once"},
	{"rate.limit.per.cluster.*", "a node has one Kafka cluster: rate.limit.permits.per.sec bounds it"},
	{"dos.filter.delay.ms", "a request over the limit is refused at once"},
	{"dos.filter.*", "a request over the limit is refused at once"},
	{"api.v3.*", "v3 has no caches and no thread pools of its own"},
	{"streaming.*", "streaming.connection.max.duration.ms bounds a stream"},
	{"schema.registry.max.schemas.per.subject", "schema.registry.cache.size bounds the schemas in memory"},
	{"schema.registry.*", "no setting of this program's client of the registry"},
	{"max.poll.records", "max_bytes bounds an answer"},
	{"use.custom.request.logging", "request.log turns the request log on"},
	{"disable.response.size.metrics.collection", "sizes of responses are counted"},
	{"dos.filter.*", "dos.filter.enabled, which is refused, turns it on"},
	{"expected.sni.headers", "any server name is answered"},
	{"prefix.sni.*", "any server name is answered"},
	{"reject.invalid.sni.headers", "any server name is answered"},
	{"network.forwarded.request.customizer.enable", "forwarded.trusted says whose headers are believed"},
	{"network.traffic.rate.limit.*", "network.traffic.rate.limit.enable, which is refused, turns it on"},
	{"percentile.max.latency.ms", "latencies are counted in histograms"},
	{"proxy.protocol.accepted.ip.range", "proxy.protocol.enabled, which is refused, turns it on"},
	{"request.timeout.interrupt.enable", "there is no thread to interrupt"},
	{"request.timeout.ms", "request.read.timeout.ms and produce.timeout.ms bound a request"},
	{"return.429.instead.of.500.for.jetty.response.errors", "there is no Jetty"},
	{"csrf.prevention.*", "csrf.prevention.enable, which is refused, turns it on"},
	{"jetty.legacy.uri.compliance", "there is no Jetty: a path that two parsers may read differently is refused"},
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
	{"sasl.kerberos.*", "tickets are renewed in this process, without kinit"},
	{"sasl.oauthbearer.*", "sasl.jaas.config and sasl.oauthbearer.token.endpoint.url say how to get a token"},
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
	{"bootstrap.controllers", "brokers are asked, not controllers"},
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
	{"URL", "for clients of a REST proxy"},
	{"PROXY_URL", "for clients of a REST proxy"},
	{"PROXY_HOST", "for clients of a REST proxy"},
	{"PROXY_PORT", "for clients of a REST proxy"},
}

// kubernetesVariable are the variables, without KAFKA_REST_, that Kubernetes makes in every pod for
// a service whose name is kafka-rest or begins so. No setting has such a name.
var kubernetesVariable = regexp.MustCompile(`^([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// dangerous are settings of the Confluent proxy that protect something and do
// not work here yet: any value but the harmless one is refused, for a node
// that quietly lacks a protection is worse than one that does not start.
var dangerous = []struct{ name, harmless, why string }{
	{"kafka.rest.resource.extension.class", "", "names a Java class, which is how security plugins are turned on; allowed: leave it out"},
	{"resource.extension.class", "", "names a Java class, which is how security plugins are turned on; allowed: leave it out"},
	{"resource.extension.classes", "", "names Java classes, which is how security plugins are turned on; allowed: leave it out"},
	{"rest.servlet.initializor.classes", "", "names Java classes, which is how security plugins are turned on; allowed: leave it out"},
	{"api.v3.enable", "true", "v3 is switched off by name; allowed: true, and api.endpoints.blocklist"},
	{"api.v2.enable", "true", "the v2 API cannot be turned off; allowed: true"},
	{"api.v3.produce.rate.limit.enabled", "false", "counts otherwise here; allowed: false, and quotas in authorization.rules.file"},
	{"csrf.prevention.enable", "false", "is not supported; allowed: false"},
	{"proxy.protocol.enabled", "false", "is not supported; allowed: false"},
	{"client.transactional.id", "", "transactions are not supported; allowed: leave it out"},
	{"hsts.header.enable", "false", "is not supported; allowed: false, and the header from the proxy in front"},
	{"network.traffic.rate.limit.enable", "false", "is not supported; allowed: false"},
	{"dos.filter.tenant.enabled", "false", "is not supported; allowed: false"},
	{"ssl.spire.enabled", "false", "is not supported; allowed: false, and a key store"},
	{"ssl.spire.trust.only.enabled", "false", "is not supported; allowed: false, and a trust store"},
	{"producer.transactional.id", "", "transactions are not supported; allowed: leave it out"},
	{"connector.connection.limit", "0", "has another name here; allowed: connections.max"},
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
	if why, listed := notUsedName(name); listed && rowNamed(name) == nil && credential.MatchString(name) && !exact(name) {
		return "is a credential that nothing here uses: " + why + "; allowed: leave it out", true
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
	// Kubernetes' PORT is tcp://host:port, and not somebody's port.
	if kubernetesVariable.MatchString(short) || strings.Contains(text, "://") && (short == "PORT" || strings.HasSuffix(short, "_PORT")) {
		return "set by Kubernetes for a service", true
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

// credential are the names of secrets. One that is not used is a protection that somebody believes
// to have, so no wildcard lists it as merely not used.
var credential = regexp.MustCompile(`\b(password|secret|token|user\.info|jaas\.config|api\.key)$`)

// exact reports whether a name stands in a list of names without a wildcard.
func exact(name string) bool {
	_, rest, _ := strings.Cut(name, ".")
	for _, s := range javaNames {
		if s.name == name {
			return true
		}
	}
	for _, s := range javaClientNames {
		if s.name == rest {
			return true
		}
	}
	return false
}
