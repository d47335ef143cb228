package ui

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"path"
	"sync"
)

//go:embed static
var static embed.FS

// Page is the name of the file that the others belong to.
const Page = "index.html"

// File is one file of the dashboard.
type File struct {
	// Name is without a folder.
	Name string
	// ContentType is its media type.
	ContentType string
	// Content is shared.
	Content []byte
	// Tag differs where the content differs: short, printable ASCII.
	Tag string
}

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
}

// Files returns all files, by name.
var Files = sync.OnceValue(func() map[string]*File {
	entries, err := static.ReadDir("static")
	if err != nil {
		panic("BUG: cannot list the embedded files: " + err.Error())
	}
	files := make(map[string]*File, len(entries))
	for _, e := range entries {
		content, err := static.ReadFile(path.Join("static", e.Name()))
		if err != nil {
			panic("BUG: cannot read an embedded file: " + err.Error())
		}
		sum := sha256.Sum256(content)
		files[e.Name()] = &File{
			Name:        e.Name(),
			ContentType: mediaTypes[path.Ext(e.Name())],
			Content:     content,
			Tag:         base64.RawURLEncoding.EncodeToString(sum[:12]),
		}
	}
	return files
})
