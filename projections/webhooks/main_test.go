package webhooks_test

import (
	"os"
	"testing"

	"mpim/projections/rows/rowstest"
)

func TestMain(m *testing.M) { os.Exit(rowstest.Main(m)) }
