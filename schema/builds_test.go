package schema_test

import (
	"testing"

	"mpim/schema"
)

func TestWhichBuildIsRead(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]schema.LiveBuild{
		"": {Number: 1}, "x": {Number: 1}, "1 x": {Number: 1}, "1 1": {Generation: 1, Number: 1},
		"7 2": {Generation: 7, Number: 2}, "8 0": {Generation: 8},
	} {
		if got := schema.ParseLiveBuild(text); got != want {
			t.Errorf("%q is %+v, want %+v", text, got, want)
		}
	}
	if text := (schema.LiveBuild{Generation: 7, Number: 2}).String(); text != "7 2" {
		t.Errorf("written as %q", text)
	}
	for number, want := range map[int]string{0: "", 1: "", 2: "inbox.2:", 10: "inbox.10:"} {
		if got := schema.BuildSpace("inbox", number); got != want {
			t.Errorf("build %d has the space %q, want %q", number, got, want)
		}
	}
}
