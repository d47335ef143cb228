package loadtest

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"

	"millrace/codec/json"
)

const (
	// minPayload is what the smallest telemetry event takes.
	minPayload = 150
	// variety is how many different values a flow has: enough that
	// compression meets no ideal case, few enough to stay in the caches.
	variety = 4096
	// varietyBytes bounds what large values take.
	varietyBytes = 8 << 20
	// maxLine bounds one line of a payload file.
	maxLine = 16 << 20
)

// idMember opens the member that every value of a run begins with.
const idMember = `{"_lt":"`

// recordID says which record of which run a value is. Worker is the number of
// the flow, Seq counts its records; request Seq/n sent it, at place Seq%n.
type recordID struct {
	Run    string
	Worker int
	Seq    uint64
}

// appendValue appends the value of one record: body, a JSON object without its
// opening brace, behind the id.
func appendValue(dst []byte, id recordID, body []byte) []byte {
	dst = append(dst, idMember...)
	dst = append(dst, id.Run...)
	dst = append(dst, '.')
	dst = strconv.AppendInt(dst, int64(id.Worker), 10)
	dst = append(dst, '.')
	dst = strconv.AppendUint(dst, id.Seq, 10)
	dst = append(dst, '"')
	if len(body) > 1 { // more than the closing brace
		dst = append(dst, ',')
	}
	return append(dst, body...)
}

// parseValue finds the id in a value read back. A proxy may have written the
// JSON anew, so where the bytes are not as we made them it is decoded.
func parseValue(value []byte) (recordID, bool) {
	if text, ok := avroID(value); ok {
		return parseID(text)
	}
	text, ok := bytes.CutPrefix(value, []byte(idMember))
	if end := bytes.IndexByte(text, '"'); ok && end > 0 {
		return parseID(text[:end])
	}
	var v struct {
		ID string `json:"_lt"`
	}
	if json.Unmarshal(value, &v) != nil || v.ID == "" {
		return recordID{}, false
	}
	return parseID([]byte(v.ID))
}

func parseID(text []byte) (id recordID, ok bool) {
	run, rest, ok := bytes.Cut(text, []byte("."))
	worker, seq, ok2 := bytes.Cut(rest, []byte("."))
	if !ok || !ok2 {
		return id, false
	}
	w, err := strconv.Atoi(string(worker))
	s, err2 := strconv.ParseUint(string(seq), 10, 64)
	return recordID{string(run), w, s}, err == nil && err2 == nil
}

// values returns what a flow's records hold, each a JSON object without its
// opening brace, to be used in turn.
func (p Payload) values(format string) ([][]byte, error) {
	if p.File != "" {
		return readLines(p.File)
	}
	rnd := rand.New(rand.NewPCG(uint64(p.Seed), 1))
	build := event
	if format == "avro" {
		build = avroEvent
	}
	out := make([][]byte, max(min(variety, varietyBytes/p.Size), 8))
	for i := range out {
		out[i] = build(rnd, p.Size)
	}
	return out, nil
}

// event makes one telemetry event that comes to about size bytes with its id:
// names that repeat, numbers that do not, as such streams have.
func event(rnd *rand.Rand, size int) []byte {
	b := fmt.Appendf(nil, `"event":%q,"device":"d-%06x","ts":%d,"lat":%.5f,"lon":%.5f,"battery":%d,"ok":%t`,
		pick(rnd, "page_view", "tap", "scroll", "purchase", "heartbeat", "crash"), rnd.IntN(1<<24),
		1700000000000+rnd.Int64N(1e10), rnd.Float64()*180-90, rnd.Float64()*360-180, rnd.IntN(101), rnd.IntN(20) > 0)
	const around = len(`{"_lt":"12345678.0.123456",}`)
	for i := 0; len(b)+around < size; i++ {
		room := size - around - len(b)
		before := len(b)
		b = append(append(b, `,"`...), pick(rnd, "cpu_", "mem_", "net_rx_", "net_tx_", "temp_", "fps_")...)
		b = append(strconv.AppendInt(b, int64(i), 10), `":`...)
		b = strconv.AppendFloat(b, rnd.NormFloat64()*20+50, 'f', 3, 64)
		if len(b)-before > room {
			b = b[:before]
			if pad := room - len(`,"p":""`); pad > 0 {
				b = append(b, `,"p":"`...)
				for range pad {
					b = append(b, 'a'+byte(rnd.IntN(26)))
				}
				b = append(b, '"')
			}
			break
		}
	}
	return append(b, '}')
}

func pick(rnd *rand.Rand, from ...string) string { return from[rnd.IntN(len(from))] }

// readLines reads a file with one JSON object a line.
func readLines(file string) ([][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("cannot read the payload: %w", err)
	}
	defer f.Close()
	var out [][]byte
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		line := bytes.TrimSpace(lines.Bytes())
		if len(line) == 0 {
			continue
		}
		compact, err := json.AppendCompact(nil, line)
		if err != nil || line[0] != '{' {
			return nil, fmt.Errorf("cannot use payload %s: line %d is not a JSON object, which every line must be so that it can carry its id", file, n)
		}
		out = append(out, compact[1:])
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("cannot read payload %s: %w", file, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("cannot use payload %s: it has no line", file)
	}
	return out, nil
}
