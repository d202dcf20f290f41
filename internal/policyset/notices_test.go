package policyset

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNoticesComeFromTheFileSystem(t *testing.T) {
	folder := t.TempDir()
	n := newNotices()
	defer n.close()
	n.watch([]string{filepath.Join(folder, "absent"), folder, folder})
	if err := os.WriteFile(filepath.Join(folder, "a.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	select {
	case <-n.events():
	case err := <-n.errors():
		t.Fatal(err)
	case <-t.Context().Done():
		t.Fatal("expected a notification")
	}
}

func TestWithoutNoticesNothingIsNoticed(t *testing.T) {
	var n notices
	n.watch([]string{t.TempDir()})
	n.close()
	if n.events() != nil || n.errors() != nil {
		t.Error("expected channels that never receive")
	}
}
