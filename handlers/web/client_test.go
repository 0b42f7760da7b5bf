package web_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/evanw/esbuild/pkg/api"
)

// The bundle that is served is what the sources say.
func TestBundleIsUpToDate(t *testing.T) {
	t.Parallel()
	result := api.Build(api.BuildOptions{
		EntryPoints: []string{"client/mpim.ts"}, Bundle: true, Format: api.FormatESModule, Target: api.ES2022, Outfile: "static/mpim.js",
	})
	for _, e := range result.Errors {
		t.Error(e.Text)
	}
	if len(result.OutputFiles) != 1 {
		t.Fatalf("%d files came out", len(result.OutputFiles))
	}
	kept, err := os.ReadFile("static/mpim.js")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(kept, result.OutputFiles[0].Contents) {
		t.Error("static/mpim.js is not what client/*.ts make: run `go generate ./handlers/web`")
	}
}
