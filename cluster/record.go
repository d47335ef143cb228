package cluster

import (
	stdjson "encoding/json"
	"fmt"
	"time"

	"millrace/codec/json"
)

// instanceKey names a consumer instance.
type instanceKey struct{ group, name string }

// The first element of a record's key, which is a JSON array of strings.
const (
	nodeRecord     = "node"     // ["node", id]
	instanceRecord = "instance" // ["instance", group, name]
)

// heartbeat is the value of a node's record.
type heartbeat struct {
	// URL is where other nodes reach this one.
	URL string `json:"url"`
	// Run is made up at each start, to tell two nodes of one name apart.
	Run string `json:"run"`
	// Beat counts the heartbeats of a run.
	Beat uint64 `json:"beat"`
	// LeaseMillis is how long the node counts as alive from here on.
	LeaseMillis int64 `json:"lease_ms"`
	// Started orders the runs of a node: that of a later run is higher. A
	// heartbeat that is older than the last one read does not count, so that
	// nobody can bring a former address of the node back with a copy of it.
	Started int64 `json:"started,omitempty"`
	// Lenient says that the node counts records without a MAC (Settings.Lenient).
	Lenient bool `json:"lenient,omitempty"`
	// Keys says that the node agrees with the others on requests with a key (Settings.Keys).
	Keys bool `json:"keys,omitempty"`
	// Left says that the node has gone; a tombstone follows. The tombstone alone
	// does not count: each copy of one verifies, at any time.
	Left bool `json:"left,omitempty"`
}

// after reports whether h was written after was by the node that both are of.
func (h *heartbeat) after(was *heartbeat) bool {
	return h.Started > was.Started || h.Started == was.Started && h.Run == was.Run && h.Beat > was.Beat
}

func (h *heartbeat) lease() time.Duration { return time.Duration(h.LeaseMillis) * time.Millisecond }

// holding is the value of an instance's record: who has it, and what it is.
type holding struct {
	// Owner is the id of the node that has the instance, empty when its
	// owner has given it up for another to take.
	Owner string `json:"owner"`
	// Epoch rises with every record of the instance.
	Epoch int64 `json:"epoch"`
	// Born is made up when the instance is created, so that two of one name
	// are told apart.
	Born string `json:"born"`
	// Since orders the instances that have had one name: that of a later one is
	// higher, by the clock of the node that made it. A record of an earlier
	// one does not count, whatever its epoch is.
	Since int64 `json:"since,omitempty"`
	// Deleted says that the instance is gone, and Why, if that is not its
	// client's doing; a tombstone follows. It is about the instance of that Born only.
	Deleted bool   `json:"deleted,omitempty"`
	Why     string `json:"why,omitempty"`
	// Definition is the instance's, as package consumer wrote it.
	Definition json.RawMessage `json:"definition,omitempty"`
}

func nodeKey(id string) []byte { return appendKey(nodeRecord, id) }

func (k instanceKey) bytes() []byte { return appendKey(instanceRecord, k.group, k.name) }

// appendKey writes a key by encoding/json: compaction compares keys by their bytes, so they must
// be those of nodes of all versions, with encoding/json's escapes for HTML.
func appendKey(parts ...string) []byte {
	key, err := stdjson.Marshal(parts)
	if err != nil {
		panic("BUG: strings are always JSON: " + err.Error())
	}
	return key
}

// parseKey reads a record's key: a node's id, or an instance's name.
func parseKey(key []byte) (node string, instance instanceKey, err error) {
	var parts []string
	if err := json.Unmarshal(key, &parts); err != nil {
		return "", instance, fmt.Errorf("cannot read the key of a cluster record: %w", err)
	}
	switch {
	case len(parts) == 2 && parts[0] == nodeRecord && parts[1] != "":
		return parts[1], instance, nil
	case len(parts) == 3 && parts[0] == instanceRecord:
		return "", instanceKey{parts[1], parts[2]}, nil
	}
	return "", instance, fmt.Errorf("cannot read the key of a cluster record: %d parts of unknown meaning", len(parts))
}

func encode(value any) []byte {
	b, err := json.Marshal(value)
	if err != nil {
		panic("BUG: a cluster record cannot be written as JSON: " + err.Error())
	}
	return b
}
