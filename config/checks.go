package config

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strconv"
	"time"

	"millrace/internal/kafka"
	"millrace/server/intake"
)

// check looks at settings that depend on one another, each rule only where its
// settings are sound by themselves.
func (d *draft) check() {
	d.checkIdempotence()
	d.checkDeliveryTimeout()
	d.checkCompression()
	if d.KafkaConsumer.GroupProtocol == "consumer" && d.isGiven("consumer.session.timeout.ms") {
		d.fault("consumer.session.timeout.ms", "has no meaning with consumer.group.protocol=consumer; allowed: leave it out, the broker's group.consumer.session.timeout.ms holds")
	}
	d.checkCluster()
	d.checkAccess()
	d.reserve()
	d.checkBodies()
	d.readRoutes()
	d.checkOrigins()
	if d.isGiven("forwarded.trusted") {
		d.Server.ForwardedNamed = d.Server.ForwardedTrusted
	}
	if d.Server.AllowCredentials && slices.Contains(commaList(d.Server.AllowOrigin), "*") {
		d.fault("access.control.allow.credentials", "true lets every page on the web act with what browsers have stored for this node, since access.control.allow.origin is *; allowed: origins by name, or false")
	}
	if len(d.advertised) > 0 {
		d.Server.Advertised = d.advertised[0]
	}
}

// checkCluster looks at what a node of several needs.
func (d *draft) checkCluster() {
	c := &d.Cluster
	c.ID, c.Idle = d.ID, d.Consumer.InstanceTimeout
	c.Secret, c.Lenient = d.Peer.Secret, d.authentication == "accept"
	d.Peer.Lease, d.Peer.Lenient = c.Lease, c.Lenient
	if len(d.peerURL) > 0 {
		c.URL = d.peerURL[0]
	}
	const lease, beat = "cluster.lease.ms", "cluster.heartbeat.interval.ms"
	if !d.isFaulty(lease, beat) && c.Lease < 3*c.Heartbeat {
		d.fault(lease, "%d leaves no room for heartbeats that come late; allowed: three times %s, %d, or more", c.Lease.Milliseconds(), beat, 3*c.Heartbeat.Milliseconds())
	}
	if c.Enabled && d.isGiven("cluster.secret.former") && !c.Lenient {
		d.fault("cluster.secret.former", "is for cluster.authentication=accept, which is not set; allowed: leave it out once no node of a former version runs")
	}
	if c.Enabled && len(d.Peer.Secret) < 16 {
		d.fault("cluster.secret", "is missing or shorter than 16 characters, and cluster.enable needs it; allowed: the same long text on all nodes")
	}
}

// reserve keeps the topic of the nodes from the API. A node on its own does
// so too: it may stand in front of the Kafka cluster in which nodes meet.
func (d *draft) reserve() {
	reserved := kafka.Reserved{d.Cluster.Topic}
	if d.AuditTopic != "" {
		reserved = append(reserved, d.AuditTopic)
	}
	for _, s := range []*kafka.Settings{&d.Kafka, &d.KafkaProduce, &d.KafkaConsume} {
		s.Reserved = reserved
	}
	d.Metadata.Reserved = reserved
}

// checkIdempotence follows the Java producer: idempotence that nobody asked
// for goes off quietly where the other settings exclude it, but more than five
// requests in flight is a fault either way.
func (d *draft) checkIdempotence() {
	const idempotence, inFlight = "producer.enable.idempotence", "producer.max.in.flight.requests.per.connection"
	if !d.Producer.Idempotent || d.isFaulty(idempotence, inFlight, "producer.acks", "producer.retries") {
		return
	}
	reason := ""
	switch {
	case d.Producer.Acks != -1:
		reason = fmt.Sprintf("producer.acks=%d", d.Producer.Acks)
	case d.Producer.Retries == 0:
		reason = "producer.retries=0"
	}
	switch {
	case reason != "" && d.isGiven(idempotence):
		d.fault(idempotence, "true conflicts with %s; allowed: producer.acks=all, producer.retries above 0, or false", reason)
	case reason != "":
		d.Producer.Idempotent = false
		d.shown[idempotence] = "false (" + reason + ")"
	case d.Producer.MaxInFlight > 5:
		d.fault(inFlight, "%d is out of range with idempotence; allowed: 1 to 5, or producer.enable.idempotence=false", d.Producer.MaxInFlight)
	}
}

// checkDeliveryTimeout follows the Java producer: a time that leaves no room
// for one attempt is a fault when given, and raised when it is the default.
func (d *draft) checkDeliveryTimeout() {
	const delivery = "producer.delivery.timeout.ms"
	if d.isFaulty(delivery, "producer.request.timeout.ms", "client.request.timeout.ms") {
		return
	}
	least := d.Producer.RequestTimeout // a linger here comes before the delivery, not out of its time
	if d.Producer.DeliveryTimeout >= least {
		return
	}
	if d.isGiven(delivery) {
		d.fault(delivery, "%d is less than one attempt may take; allowed: producer.request.timeout.ms, %d, or more",
			d.Producer.DeliveryTimeout.Milliseconds(), least.Milliseconds())
		return
	}
	d.Producer.DeliveryTimeout = least
	d.shown[delivery] = strconv.FormatInt(int64(least/time.Millisecond), 10) + " (producer.request.timeout.ms)"
}

// checkCompression picks the level of the codec in use. Java's default of each
// codec becomes 0, the client library's own: they mean the same.
func (d *draft) checkCompression() {
	level, usual := 0, 0
	switch d.Producer.Compression {
	case kafka.Gzip:
		level, usual = d.levels.gzip, -1
	case kafka.LZ4:
		level, usual = d.levels.lz4, 9
	case kafka.Zstd:
		level, usual = d.levels.zstd, 3
	}
	if level == usual {
		level = 0
	}
	d.Producer.Level = level
}

// checkBodies derives the memory of request bodies from that of the process, and looks
// whether the largest body fits into it beside the reserve of small ones.
func (d *draft) checkBodies() {
	const memory, most = "request.buffer.memory", "request.max.bytes"
	if d.isFaulty(memory, most) {
		return
	}
	s := &d.Server.Bodies
	s.Largest = int64(d.Server.MaxBodyBytes)
	if d.isGiven(memory) {
		if room := intake.Room(s.Memory); s.Largest > room {
			d.fault(memory, "%d leaves room for bodies of %d bytes, and %s is %d; allowed: twice that, or more", s.Memory, room, most, s.Largest)
		}
		return
	}
	s.Memory = intake.DefaultMemory
	from := "default"
	if limit := debug.SetMemoryLimit(-1); limit/4 < s.Memory {
		s.Memory, from = limit/4, "memory limit "+strconv.FormatInt(limit, 10)
	}
	if s.Memory < 2*s.Largest {
		s.Memory, from = max(2*s.Largest, 1<<20), most
	}
	d.shown[memory] = strconv.FormatInt(s.Memory, 10) + " (" + from + ")"
}
