package v3

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"millrace/internal/apierr"
	"millrace/server"
)

// maxPage is the largest page, and the size of one where the client names none. The Confluent proxy
// has no pages, so its clients do not ask for a second: it is larger than the lists of most
// clusters.
const maxPage = 50_000

// maxToken bounds a page token: the longest key, in base64.
const maxToken = 4096

// list is an answer with many resources.
type list[T any] struct {
	Kind     string   `json:"kind"`
	Metadata listSelf `json:"metadata"`
	Data     []T      `json:"data"`
}

// listSelf is the metadata of a list.
type listSelf struct {
	Self string `json:"self"`
	// Next is the URL of the next page, nil on the last.
	Next *string `json:"next"`
}

// respondList answers with a page of all, rendered one by one. key is what an item is ordered by,
// and must be unique: a page token is the key of the last item, so that no item is left out or
// comes twice when others appear or go between two pages.
func respondList[I, T any](c *call, of list[T], all []I, key func(I) string, render func(I) T) error {
	items, next, err := page(c, all, key)
	if err != nil {
		return err
	}
	of.Data = make([]T, 0, len(items))
	for _, i := range items {
		of.Data = append(of.Data, render(i))
	}
	if next != "" {
		of.Metadata.Next = &next
	}
	return c.respond(of)
}

// visible returns the items of which the caller may describe the topic or group that name returns.
func visible[I any](c *call, of server.Resource, all []I, name func(I) string) []I {
	caller := server.CallerOf(c.RequestCtx)
	if caller.MayAll(server.Describe, of) {
		return all
	}
	return slices.DeleteFunc(slices.Clone(all), func(i I) bool { return !caller.May(server.Describe, of, name(i)) })
}

// page returns the page of all that the request asks for, and the URL of the next one.
func page[I any](c *call, all []I, key func(I) string) (items []I, next string, err error) {
	size, after, err := c.pageAsked()
	if err != nil {
		return nil, "", err
	}
	byKey := func(a, b I) int { return strings.Compare(key(a), key(b)) }
	if !slices.IsSortedFunc(all, byKey) { // most are
		all = slices.SortedFunc(slices.Values(all), byKey)
	}
	from, found := slices.BinarySearchFunc(all, after, func(i I, after string) int { return strings.Compare(key(i), after) })
	if found {
		from++
	}
	items = all[from:]
	if len(items) <= size {
		return items, "", nil
	}
	items = items[:size]
	return items, c.nextPage(size, key(items[size-1])), nil
}

// pageAsked returns the size of the page that the request asks for, and the key of the last item
// before it.
func (c *call) pageAsked() (size int, after string, err error) {
	if size, err = server.QueryInt(c.RequestCtx, "page_size", maxPage); err != nil {
		return 0, "", err
	}
	if size < 1 {
		return 0, "", apierr.BadRequest.New("The query parameter page_size must be above zero.")
	}
	token, err := server.QueryText(c.RequestCtx, "page_token", maxToken)
	if err != nil {
		return 0, "", err
	}
	key, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, "", apierr.BadRequest.New("The query parameter page_token is not one of an answer's metadata.next.")
	}
	return min(size, maxPage), string(key), nil
}

// pageWords are the query parameters of lists.
var pageWords = []string{"page_size", "page_token"}

// nextPage returns the URL of the page after key, with what else the query has.
func (c *call) nextPage(size int, key string) string {
	query := url.Values{}
	for name, value := range c.QueryArgs().All() {
		query.Add(string(name), string(value))
	}
	query.Set("page_size", strconv.Itoa(size))
	query.Set("page_token", base64.RawURLEncoding.EncodeToString([]byte(key)))
	return c.urls.base + string(c.URI().PathOriginal()) + "?" + query.Encode()
}

// ordered returns a number as a text that is ordered as the number is.
func ordered(n int32) string {
	return string([]byte{byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)})
}

// listOf returns a list of that kind, without its resources.
func listOf[T any](kind, self string) list[T] {
	return list[T]{Kind: kind, Metadata: listSelf{Self: self}}
}
