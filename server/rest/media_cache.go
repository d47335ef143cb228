package rest

import (
	"mime"
	"sync"
	"sync/atomic"

	"millrace/internal/apierr"
)

// content is what a Content-Type says.
type content struct {
	name  string // lower case, without parameters
	media mediaType
	kafka bool   // media is that of name
	avro  string // the parameter
}

// contents remembers what Content-Types say. Clients send few, and each always the
// same: taking one apart for each request would be most of what they cost beside
// the usual ones.
type contents struct {
	known atomic.Pointer[map[string]*content] // never changed, but for another
	mu    sync.Mutex                          // of who makes another
}

// maxContents bounds what is remembered, and so does maxContentLen: one that is not
// is read each time. When there are too many, they are forgotten.
const (
	maxContents   = 64
	maxContentLen = 128
)

// parse returns what the header says, which it borrows. It fails when that is no
// media type.
func (c *contents) parse(header []byte) (*content, error) {
	known := c.known.Load()
	if known != nil {
		if found := (*known)[string(header)]; found != nil {
			return found, nil
		}
	}
	text := string(header)
	name, params, err := mime.ParseMediaType(text)
	if err != nil {
		return nil, apierr.BadRequest.Wrap(err, "The Content-Type is not a media type.")
	}
	found := &content{name: name, avro: params["avro"]}
	found.media, found.kafka = parseKafka(name)
	if len(text) <= maxContentLen {
		c.add(text, found)
	}
	return found, nil
}

func (c *contents) add(text string, found *content) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[string]*content{text: found}
	if known := c.known.Load(); known != nil && len(*known) < maxContents {
		for text, found := range *known {
			next[text] = found
		}
	}
	c.known.Store(&next)
}
