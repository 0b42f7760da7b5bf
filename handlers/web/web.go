// Package web serves the page on which people talk: one HTML file, a script and a style sheet, embedded in the binary. The page
// speaks the client protocol through the TypeScript client in the directory client, which is bundled to static/mpim.js
// and served beside it for other pages to import.
package web

import (
	"embed"
	"io/fs"
	"net/http"
)

//go:generate go tool esbuild client/mpim.ts --bundle --format=esm --target=es2022 --outfile=static/mpim.js --log-level=warning

//go:embed static
var static embed.FS

// policy lets the page load and reach nothing but its own server.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws: wss:; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// Handler serves the page at / and its files beside it.
func Handler() http.Handler {
	root, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the directory is embedded above
	}
	files := http.FileServerFS(root)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cache-Control", "no-cache")
		header.Set("Access-Control-Allow-Origin", "*") // other pages import the client; there is nothing secret here
		files.ServeHTTP(w, r)
	})
}
