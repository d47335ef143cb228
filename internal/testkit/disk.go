package testkit

import (
	"fmt"
	"os/exec"
	"testing"
)

// SmallDisk returns a folder on a file system of its own, in memory, of so many bytes, which goes
// when t ends.
func SmallDisk(t testing.TB, bytes int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	out, err := exec.Command("mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%d", bytes), "tmpfs", dir).CombinedOutput()
	if err != nil {
		Missing(t, fmt.Sprintf("a small disk cannot be mounted, which takes root: %v: %s", err, out))
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("cannot unmount %s: %v: %s", dir, err, out)
		}
	})
	return dir
}
