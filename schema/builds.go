package schema

import (
	"strconv"
	"strings"
)

// LiveField is the field of the hash under BuildsKey that says which build is read; see ParseLiveBuild.
const LiveField = "live"

// BuildsKey returns the key of the hash that says which builds a projection has in Redis.
func BuildsKey(projection string) string { return "builds:{" + projection + "}" }

// BuildSpace returns what stands in front of the names of a build's keys in Redis: nothing for the first one, whose keys
// have the names that are documented, and "members.2:" for the second build of members.
func BuildSpace(projection string, build int) string {
	if build <= 1 {
		return ""
	}
	return projection + "." + strconv.Itoa(build) + ":"
}

// LiveBuild says which build of a projection in Redis is read.
type LiveBuild struct {
	// Generation counts how often that changed.
	Generation int64
	// Number is that of the build; 0 for none.
	Number int
}

// ParseLiveBuild reads the field LiveField: a generation and a number. Where there is none the first build is read.
func ParseLiveBuild(text string) LiveBuild {
	generation, number, _ := strings.Cut(text, " ")
	g, failed := strconv.ParseInt(generation, 10, 64)
	n, damaged := strconv.Atoi(number)
	if failed != nil || damaged != nil {
		return LiveBuild{Number: 1}
	}
	return LiveBuild{Generation: g, Number: n}
}

// String returns what ParseLiveBuild reads.
func (b LiveBuild) String() string {
	return strconv.FormatInt(b.Generation, 10) + " " + strconv.Itoa(b.Number)
}
