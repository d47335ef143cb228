package rest

import (
	"mime"
	"sync"
	"sync/atomic"

	"millrace/internal/apierr"
)

// content is a parsed Content-Type.
type content struct {
	name  string // lower case, without parameters
	media mediaType
	kafka bool   // media is that of name
	avro  string // the parameter
}

// contents caches parsed Content-Types. Clients send few, and each always the same: parsing one
// for each request would be most of its cost besides the usual types. It is a copy on write and no
// bounded.Map, since produce requests would contend for the lock of one. When it is full, it is
// emptied: the few that are in use are parsed again at once.
type contents struct {
	known atomic.Pointer[map[string]*content] // immutable, and replaced as a whole
	mu    sync.Mutex                          // held by the writer that replaces it
}

// maxContents bounds the cached entries, and maxContentLen the header of an entry; a longer one
// is parsed each time.
const (
	maxContents   = 64
	maxContentLen = 128
)

// parse returns the parsed header, which it borrows. It fails when the header is no media type.
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
