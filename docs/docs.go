// Package docs holds the pages of the documentation, so that the program can print them where
// nothing but the program is installed.
package docs

import "embed"

// Pages are the pages, NAME.md each.
//
//go:embed *.md
var Pages embed.FS
