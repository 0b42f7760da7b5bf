package webhooks_test

import (
	"os"
	"testing"

	"mpim/projections/projectionstest"
)

func TestMain(m *testing.M) { os.Exit(projectionstest.Main(m)) }
