package auth

// Action is what a request does, as its route says.
type Action uint8

// The actions.
const (
	// Undeclared is of a route that does not say what it does: nobody may use it.
	Undeclared Action = iota
	// Describe reads metadata of a resource.
	Describe
	// Produce writes records.
	Produce
	// Consume reads records, or changes what a consumer has read.
	Consume
	// Administer changes or shows the configuration of the node or the Kafka cluster.
	Administer
	// Ingest writes records through a route of its own, whose settings choose the topic.
	Ingest
	// Probe reads whether the node is alive, or its documents. Everybody may.
	Probe
	// Notify is a notification from one node to another, which proves itself in another way.
	Notify

	actions
)

// actionNames are the words of rules. Probe and Notify are not for rules.
var actionNames = [actions]string{Undeclared: "undeclared", Describe: "describe", Produce: "produce", Consume: "consume", Administer: "admin", Ingest: "ingest", Probe: "probe", Notify: "notify"}

// String returns the word for the action in a rule.
func (a Action) String() string { return actionNames[a] }

// Resource is the kind of object that an action is done to.
type Resource uint8

// The resources.
const (
	// Node is the node that responds. Its name in rules is the path of the route.
	Node Resource = iota
	// Cluster is the Kafka cluster as a whole: its brokers, its ACLs. Its name in rules is the
	// path of the route, too.
	Cluster
	// Topic and Group are one topic or consumer group.
	Topic
	Group
	// Topics and Groups are several, which the path does not name: a list, of which the response
	// shows what the caller may see, or names in a body, each of which the handler checks.
	Topics
	Groups
)

// one returns the resource of one element.
func (r Resource) one() Resource {
	switch r {
	case Topics:
		return Topic
	case Groups:
		return Group
	case Cluster:
		return Node
	}
	return r
}

// noun is the resource in a sentence.
func (r Resource) noun() string {
	switch r {
	case Topic, Topics:
		return "topic"
	case Group, Groups:
		return "consumer group"
	}
	return "path"
}
