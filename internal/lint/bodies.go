package lint

import (
	"go/ast"
	"slices"
)

// bodyTraps are the methods of fasthttp's Request, and of its RequestCtx, that give the
// body. A streamed body that is cut off is whole to them, and of one with a broken
// chunk they return the text of the error.
var bodyTraps = []string{
	"Body", "SwapBody", "BodyStream", "CloseBodyStream", "BodyWriteTo", "BodyUncompressed", "BodyUncompressedWithLimit",
	"BodyGunzip", "BodyGunzipWithLimit", "BodyInflate", "BodyInflateWithLimit", "BodyUnbrotli", "BodyUnbrotliWithLimit", "BodyUnzstd", "BodyUnzstdWithLimit",
	"PostArgs", "MultipartForm", "MultipartFormWithLimit",
}

// contextTraps are those of RequestCtx that no other type here has.
var contextTraps = []string{"PostBody", "RequestBodyStream", "PostArgs", "MultipartForm", "FormValue", "FormFile"}

// Bodies reports where a request's body is read past server/body.go. Servers of package
// bench, which stand for a bare one, do not stream theirs.
func Bodies(f *File) []Problem {
	if f.Dir == "bench" || f.Dir == "server" && f.Name == "body.go" {
		return nil
	}
	var out []Problem
	ast.Inspect(f.AST, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		of, ok := sel.X.(*ast.SelectorExpr)
		if slices.Contains(contextTraps, sel.Sel.Name) || ok && of.Sel.Name == "Request" && slices.Contains(bodyTraps, sel.Sel.Name) {
			out = append(out, f.problem(sel.Pos(), "%s hides the errors of a streamed body: use server.RequestBody, of server/body.go", sel.Sel.Name))
		}
		return true
	})
	return out
}
