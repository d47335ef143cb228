package peer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/valyala/fasthttp"

	"millrace/cluster"
	"millrace/server"
)

// headerProof carries the proof that a request, or its response, is of a node:
// a MAC by a key that the secret of the nodes has for this use alone. The secret
// itself is in no message.
const headerProof = "X-Millrace-Proof"

// The labels of the keys, one for each use.
const (
	requestUse  = "millrace node request v1"
	responseUse = "millrace node response v1"
)

// provenHeaders are the headers of a request that its proof covers beside what
// [proof] names. The others may be changed on the way, by the sidecar of a mesh for one.
var provenHeaders = [...]string{headerAgain, headerNotices, fasthttp.HeaderContentType, fasthttp.HeaderContentEncoding, fasthttp.HeaderAccept, "Last-Event-ID"}

// provenAnswer are the headers of a response that its proof covers. The proof does not cover
// the body, which is forwarded as it comes, before it is known whole.
var provenAnswer = [...]string{fasthttp.HeaderContentType, fasthttp.HeaderContentEncoding, headerElsewhere, headerPage}

// proof authenticates one request from node to node. It holds for one node and one
// of its runs, and there once. Its age counts in heartbeats of that node, which
// all nodes read from the cluster's topic, so no clocks are compared.
type proof struct {
	run    string // of the node that sends
	number uint64 // of the request, among those of that run
	beat   uint64 // the last heartbeat that the sender has read of the node that is asked
	digest [sha256.Size]byte
	mac    []byte
}

// errProof says that a request or a response is not of a node with the same secret.
var errProof = errors.New("the proof does not verify")

// String returns the header's value.
func (p *proof) String() string {
	return strings.Join([]string{
		"v1", p.run, strconv.FormatUint(p.number, 10), strconv.FormatUint(p.beat, 10),
		hex.EncodeToString(p.digest[:]), hex.EncodeToString(p.mac),
	}, " ")
}

// parseProof reads the header's value.
func parseProof(text string) (p proof, err error) {
	parts := strings.Split(text, " ")
	if len(parts) != 6 || parts[0] != "v1" || len(parts[1]) > 64 {
		return p, errProof
	}
	p.run = parts[1]
	if p.number, err = strconv.ParseUint(parts[2], 10, 64); err != nil {
		return p, errProof
	}
	if p.beat, err = strconv.ParseUint(parts[3], 10, 64); err != nil {
		return p, errProof
	}
	digest, err := hex.DecodeString(parts[4])
	if err != nil || len(digest) != len(p.digest) {
		return p, errProof
	}
	copy(p.digest[:], digest)
	if p.mac, err = hex.DecodeString(parts[5]); err != nil {
		return p, errProof
	}
	return p, nil
}

// Prover makes and checks the proofs of one node.
type Prover struct {
	node              *cluster.Node
	request, response []byte // keys
	last              atomic.Uint64
	replays           replays
}

// NewProver returns what the node proves itself with where it has that secret.
func NewProver(node *cluster.Node, secret string) *Prover {
	return &Prover{
		node: node, request: cluster.DeriveKey(secret, requestUse), response: cluster.DeriveKey(secret, responseUse),
		replays: replays{windows: make(map[string]*window)},
	}
}

// message is the request that a proof is about.
type message struct {
	node, run   string // that are asked
	method, uri string
	header      func(name string) string
}

// sum returns the MAC of a request.
func (v *Prover) sum(p *proof, m message) []byte {
	parts := [][]byte{
		[]byte(m.node), []byte(m.run), []byte(p.run), strconv.AppendUint(nil, p.number, 10), strconv.AppendUint(nil, p.beat, 10),
		[]byte(m.method), []byte(m.uri), p.digest[:],
	}
	for _, name := range provenHeaders {
		parts = append(parts, []byte(m.header(name)))
	}
	// Only where it is there, so that nodes of a version without it verify the others.
	if caller := m.header(headerCaller); caller != "" {
		parts = append(parts, []byte(headerCaller), []byte(caller))
	}
	return cluster.MAC(v.request, parts...)
}

// Prove adds the proof to a request to another node, and returns its MAC, which
// the proof of the response covers.
func (v *Prover) Prove(req *http.Request, body []byte, to cluster.Place) []byte {
	p := &proof{run: v.node.Run(), number: v.last.Add(1), beat: to.Beat, digest: sha256.Sum256(body)}
	p.mac = v.sum(p, message{to.Node, to.Run, req.Header.Get(headerMethod), req.URL.RequestURI(), req.Header.Get})
	req.Header.Set(headerProof, p.String())
	return p.mac
}

// verify checks the proof of a request, and returns its MAC. A request that
// verifies once does not do so again.
func (v *Prover) verify(ctx *fasthttp.RequestCtx) ([]byte, error) {
	h := &ctx.Request.Header
	p, err := parseProof(string(h.Peek(headerProof)))
	if err != nil {
		return nil, err
	}
	peek := func(name string) string { return string(h.Peek(name)) }
	want := v.sum(&p, message{v.node.ID(), v.node.Run(), peek(headerMethod), string(h.RequestURI()), peek})
	if !hmac.Equal(want, p.mac) {
		return nil, errProof
	}
	if sha256.Sum256(server.RequestBody(ctx)) != p.digest {
		return nil, fmt.Errorf("%w: the body is not the one that was sent", errProof)
	}
	if !v.replays.admit(&p, v.node) {
		return nil, fmt.Errorf("%w: the request is old or came before", errProof)
	}
	return p.mac, nil
}

// sumAnswer returns the MAC of the response to a request.
func (v *Prover) sumAnswer(request []byte, status int, header func(name string) string) []byte {
	parts := [][]byte{request, strconv.AppendInt(nil, int64(status), 10)}
	for _, name := range provenAnswer {
		parts = append(parts, []byte(header(name)))
	}
	return cluster.MAC(v.response, parts...)
}

// proveAnswer adds the proof to the response to the request with the MAC.
func (v *Prover) proveAnswer(ctx *fasthttp.RequestCtx, request []byte) {
	h := &ctx.Response.Header
	mac := v.sumAnswer(request, ctx.Response.StatusCode(), func(name string) string { return string(h.Peek(name)) })
	h.Set(headerProof, hex.EncodeToString(mac))
}

// VerifyResponse checks the proof of the response to the request with the MAC.
func (v *Prover) VerifyResponse(resp *http.Response, request []byte) error {
	mac, err := hex.DecodeString(resp.Header.Get(headerProof))
	if err != nil || !hmac.Equal(mac, v.sumAnswer(request, resp.StatusCode, resp.Header.Get)) {
		return errProof
	}
	return nil
}

// replays remembers the requests of other nodes, so that each is served once. It
// holds a window of a fixed size for each run of a node that was heard of late:
// what is older than that is refused by its age. A window must not be evicted before that, as a
// [bounded.Map] would: the requests of its run would hold again.
type replays struct {
	mu      sync.Mutex
	windows map[string]*window // by the run of the node that sends
	swept   uint64             // the own heartbeat at which windows were last dropped
}

// windowSize is how many requests of a node may overtake one of it on its way.
const windowSize = 1 << 17

// window is which of the last windowSize requests of a run have come.
type window struct {
	last uint64 // the highest number
	beat uint64 // the own heartbeat at which one last came
	came [windowSize / 64]uint64
}

// admit reports whether the request is young enough and has not come before.
func (r *replays) admit(p *proof, node *cluster.Node) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	beat := node.Beat()
	if !node.Recent(p.beat) {
		return false
	}
	if beat != r.swept {
		r.swept = beat
		for run, w := range r.windows {
			if !node.Recent(w.beat) {
				delete(r.windows, run)
			}
		}
	}
	w := r.windows[p.run]
	if w == nil {
		w = &window{}
		r.windows[p.run] = w
	}
	w.beat = beat
	return w.admit(p.number)
}

// admit reports whether the number is a new one, and notes it.
func (w *window) admit(number uint64) bool {
	switch {
	case number > w.last:
		for n := w.last + 1; n < number && n-w.last <= windowSize; n++ {
			w.came[n%windowSize/64] &^= 1 << (n % 64)
		}
		w.last = number
	case w.last-number >= windowSize, w.came[number%windowSize/64]&(1<<(number%64)) != 0:
		return false
	}
	w.came[number%windowSize/64] |= 1 << (number % 64)
	return true
}
