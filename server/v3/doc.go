// Package v3 holds the resources of the v3 API. Each is a struct of the parts that it uses, which
// returns its routes.
package v3
