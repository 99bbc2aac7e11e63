package bench

import (
	"os"
	"testing"

	"reqpm/internal/builder/chroot"
)

func TestMain(m *testing.M) {
	chroot.Init()
	os.Exit(m.Run())
}
