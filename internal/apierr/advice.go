package apierr

// advice is what to do about a kind that occurs, for the operator of the node or
// writes its clients. The messages of the table are for one request; this is
// about the cause of many.
var advice = map[*Kind]string{
	BadRequest:   "A client sends what is not valid JSON, or a value that its format cannot hold. The answer's message names the record and the member.",
	KafkaInvalid: "Kafka's broker log says what it found invalid. Often it is the name of a topic or the value of a setting.",

	Unauthenticated: "Check client.sasl.* and the certificates: it may be this node that Kafka does not know.",
	Unauthorized:    "Give the Kafka principal of this node the right (kafka-acls), or allow the page's origin with access.control.allow.origin.",

	NotFound:            "A client asks for a path that does not exist here. Look for a typing error in its base URL, or for an API version that this node does not have.",
	TopicNotFound:       "Create the topic, or turn on topics.auto.create and the brokers' auto.create.topics.enable.",
	TopicNotFoundStrict: "Create the topic, or turn on topics.auto.create and the brokers' auto.create.topics.enable.",
	PartitionNotFound:   "A client names a partition beyond those that the topic has. Compare with the list of topics.",
	InstanceNotFound:    "The instance was deleted, or went unused for consumer.instance.timeout.ms, or lives on another node: clients must use the base_uri that they were given, and load balancers must let them.",
	OffsetNotFound:      "Retention has deleted what a client wants to read. Let it read sooner, or keep records longer (retention.ms of the topic).",

	MethodNotAllowed: "A client uses a method that the path does not have; the Allow header lists those that it has.",
	NotAcceptable:    "A client's Accept names no media type of this API, such as application/vnd.kafka.json.v2+json.",
	FormatMismatch:   "A client reads with another format in Accept than its instance was created with.",
	SlowRequest:      "Requests take longer to arrive than request.read.timeout.ms, or bring fewer bytes a second than request.min.rate. Look at the network, or change these.",
	Undecodable:      "A record in the topic is not of the consumer's format. Read it as binary, or seek past it: the message names its offset. An instance made with \"on.decode.error\": \"skip\" or \"base64\" reads on.",
	ClientGone:       "Clients hang up while their reads wait, which takes nothing from the next. Where they do it often, let them wait longer than the timeout that they ask for.",
	OtherTopic:       "A v1 instance reads one topic only. Create another instance for another topic.",
	AlreadyExists:    "A client creates an instance whose name is taken in its group. It did not delete the former one, or two clients share a name.",
	KeyBusy:          "A client sent a request again while the first was being carried out, because its own timeout is short. It waits, and asks again.",
	AnswerNotKept:    "A client sent a large request again that had succeeded. Clients ask for a short answer (Prefer: return=minimal), or the node keeps more (idempotency.max.bytes).",
	KeyReused:        "A client uses one Idempotency-Key for different requests. A key is made anew for each, and kept for its retries.",
	IllegalState:     "A client calls things in the wrong order: subscribe or assign before reading, and not both.",
	BodyTooLarge:     "Send fewer records in a request, or raise request.max.bytes here, and max.message.bytes of the topic for single records.",
	UnsupportedMedia: "A client's Content-Type does not name a format of this API, such as application/vnd.kafka.json.v2+json.",
	HeadersTooLarge:  "Cookies or tokens make headers large. Raise request.max.header.bytes.",

	Unprocessable:       "A client sends JSON of the wrong shape. The answer's message names the member.",
	SettingOutOfRange:   "A client creates an instance with a setting out of its range.",
	KeySchemaMissing:    "Send key_schema or key_schema_id along, or records without keys.",
	ValueSchemaMissing:  "Send value_schema or value_schema_id along.",
	InvalidConsumerConf: "A client creates an instance with a value that its setting cannot have.",
	InvalidSchema:       "A client sends the text of a schema that cannot be read as its format. The answer's message says where.",
	PayloadError:        "A client asks to create a topic without a body, or with a name that Kafka does not allow.",
	Misfit:              "The event is not what the schema of its ingest route asks for. Mend its sender; where the route has a dead-letter topic the event is kept there, and `millrace dead` shows and replays it.",
	BatchRefused:        "The client sends a records:batch whose entries are none, too many, or whose ids are not distinct. The message says which.",
	RegistryRefused:     "The schema registry knows no such schema, or finds it incompatible with the subject's former ones. Compare with what the registry has.",

	TooManyInstances:   "Clients create instances and do not delete them: see the groups below. Or raise consumer.instances.max.",
	TooManyOfOneClient: "One address creates instances and does not delete them. Or raise consumer.instances.max.per.client, as behind a load balancer that hides the clients.",
	TooManyWaiters:     "Many clients wait for news of topics and brokers (?wait=) at once. Have them share one stream of changes, GET /metadata/changes, or poll with an ETag.",
	TooManyConnections: "One address opens many connections: have its client keep them open and share them, or raise connections.max.per.ip.",
	BodiesOfOneFull:    "One caller, which is an identity or an address, sends many large bodies at once. Have its client send smaller ones or fewer at a time, or raise request.buffer.share.per.ip, as behind a load balancer that hides the clients.",

	TooManyLogins:     "Many logins with a wrong password come in, or from one address; the log of refusals names it. Clients keep their connections and credentials; API keys cost no hashing.",
	QuotaExceeded:     "A client does more than its quota (authorization.rules.file): the answer names it. Have it slow down, or raise the quota.",
	TooManyPrincipals: "More callers use Kafka with rights of their own at a time than authentication.kafka.clients.max allows. Raise it, or try again.",

	Internal:       "This is a defect of millrace. The log has the details; please report them.",
	KafkaError:     "The log has Kafka's error, and the brokers' logs more.",
	RegistryFailed: "Check schema.registry.url and the credentials for it. The log here and that of the registry have more.",
	KafkaRetriable: "It passes by itself when leaders change or brokers restart. When it stays, look at the brokers.",

	Overloaded:       "Kafka takes records more slowly than they arrive. Look at the brokers and at the produce latency; raise producer.buffer.memory for short peaks only.",
	Draining:         "The node is shutting down. Load balancers should watch /readyz, and clients repeat the request.",
	BrokersAway:      "Look whether the brokers run, and whether this node reaches bootstrap.servers and the addresses that the brokers advertise.",
	TooBusy:          "More connections than connections.max. Have clients keep connections open and share them, or raise it with the limit of open files.",
	StreamsFull:      "More streams and dashboards than streams.max. Look for clients that open a new stream without closing the former, or raise it.",
	ArrivalUnknown:   "The node that forwarded the last response died before it could say whether that arrived, and a client wants to commit all that was answered. The next read brings those records again; after it, or with offsets by name, a commit goes through.",
	BodiesFull:       "More bytes of requests arrive at once than request.buffer.memory. Have clients send smaller bodies, add nodes, or raise it with the memory of the process.",
	BodyDisplaced:    "Large bodies arrive slowly while request.buffer.memory is full. Look at the network of those clients; have them send smaller bodies.",
	KeyUnsettled:     "A node of the service does not answer the others, and counts as alive: it has just died, or stops, or the network between nodes is broken. It passes within cluster.lease.ms, but for the last. From /readyz: the node has just started, and asks the others for their keys.",
	SpoolFull:        "The spool is at ingest.spool.max.bytes or .max.age.ms, or its disk is full or fails: the log has the reason. Look why Kafka does not take events, and give the disk room.",
	InstanceMoved:    "A consumer instance is on its way from one node to another, or its node has died a moment ago. Clients repeat the request.",
	Interrupted:      "A consumer instance was deleted, or its session replaced, while another call used it. Clients repeat the request. Where it stays, have each instance used by one client only.",
	RegistryAway:     "Look whether the schema registry runs, and whether this node reaches schema.registry.url. Schemas that are cached still work.",
	KeysAway:         "Look whether this node reaches authentication.jwt.keys.",
	RegistryTimedOut: "The schema registry is slow. Look at its load and at the network between.",
	NotWritten:       "The leader of a partition is down, or Kafka was slower than produce.timeout.ms. Clients send the same again: nothing can be doubled.",
	NodeBusy:         "More requests arrive than the processors of this node can serve. Add nodes or processors, or have clients send more records in each request; overload.delay.ms says how long a request may wait for a processor.",
	WriteUnknown:     "A broker died, or did not acknowledge in time, with records on their way to it: they may be in Kafka. Look for brokers that are down or pause, replicas that are out of sync and full disks. Clients that send again may double these records, clients that do not may lose them; a key or an id in the record lets readers drop what is double.",
	KafkaTimedOut:    "Kafka does not answer in time. Look for slow brokers, full disks and the network between.",
}

// Advice says what to do about errors of this kind, in a sentence or two for
// people.
func (k *Kind) Advice() string { return advice[k] }
