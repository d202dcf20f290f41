package rig

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestBuildKeyHoldsEverythingThatABuildDependsOn(t *testing.T) {
	folder := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	key := func(args ...string) string {
		t.Helper()
		k, err := buildKey(t.Context(), folder, args)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	write("go.mod", "module m\n")
	first := key("build")
	if again := key("build"); again != first {
		t.Errorf("nothing changed: want %q, got %q", first, again)
	}
	seen := map[string]string{first: "the first build"}
	for what, change := range map[string]func() string{
		"other flags":     func() string { return key("build", "-x") },
		"another version": func() string { write("go.mod", "module m // 2\n"); return key("build") },
		"another file":    func() string { write("main.go", "package main\n"); return key("build") },
	} {
		got := change()
		if before, twice := seen[got]; twice {
			t.Errorf("%s: want another key than %s's, got %q", what, before, got)
		}
		seen[got] = what
	}
}

func TestProgramsNameTheirVersion(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs() {
		version, err := requiredVersion(filepath.Join(root, "hack", p.folder), p.module)
		if err != nil {
			t.Error(err)
		}
		if !strings.HasPrefix(version, "v") {
			t.Errorf("%s: want a version, got %q", p.name, version)
		}
	}
	if version, err := requiredVersion(root, "example.com/absent"); err == nil {
		t.Errorf("want an error for a module that is not required, got %q", version)
	}
}

func TestKubernetesVersionIsStamped(t *testing.T) {
	got := kubernetesVersion("v1.36.3")
	for _, want := range []string{"gitMajor=1 ", "gitMinor=36 ", "gitVersion=v1.36.3 "} {
		if !strings.Contains(got, want) {
			t.Errorf("want %q in %q", want, got)
		}
	}
}

func TestLockIsHeldByOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	other, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	try := func() error { return syscall.Flock(int(other.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) }
	if err := try(); !errors.Is(err, syscall.EWOULDBLOCK) {
		t.Errorf("while it is held: want %v, got %v", syscall.EWOULDBLOCK, err)
	}
	unlock()
	if err := try(); err != nil {
		t.Errorf("once it is free: want it taken, got %v", err)
	}
}
