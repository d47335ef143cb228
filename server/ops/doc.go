// Package ops holds the resources for operators of the node: health, metrics, the description of
// the API, and settings that change at run time. Each is a struct of the parts that it uses, and
// returns its routes.
package ops
