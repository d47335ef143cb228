package server

import (
	"net/http"

	"millrace/cluster"
)

// ProveAs adds to a request to the node the proof of another one, which knows the
// secret. Each call makes a proof of its own.
func ProveAs(from *Prover, req *http.Request, body []byte, to *cluster.Node) {
	from.prove(req, body, cluster.Place{Node: to.ID(), Run: to.Run(), Beat: to.Beat()})
}

// Prover is what a node proves itself with.
type Prover = prover

// NewProver returns what the node proves itself with where it has that secret.
func NewProver(node *cluster.Node, secret string) *Prover { return newProver(node, secret) }

// Verifies reports whether the response to the request is one of its node.
func (v *prover) Verifies(req *http.Request, resp *http.Response) bool {
	p, err := parseProof(req.Header.Get(headerProof))
	return err == nil && v.verifyAnswer(resp, p.mac) == nil
}
