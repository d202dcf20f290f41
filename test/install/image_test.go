package install_test

import (
	"debug/elf"
	"encoding/json"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// TestBinaryIsStatic builds the program as the Dockerfile does and looks for
// what only a loader could bring: there is none in the image.
func TestBinaryIsStatic(t *testing.T) {
	_ = neededFiles(t) // so that the Go command runs this test again when they change
	file := filepath.Join(t.TempDir(), "bonafide")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", file, "./cmd/bonafide")
	build.Dir = root
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	binary, err := elf.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = binary.Close() })
	for _, program := range binary.Progs {
		if program.Type == elf.PT_INTERP || program.Type == elf.PT_DYNAMIC {
			t.Errorf("want a static program, got a segment %s", program.Type)
		}
	}
	if libraries, err := binary.ImportedLibraries(); err == nil && len(libraries) > 0 {
		t.Errorf("want no libraries, got %q", libraries)
	}
	if runtime.GOOS == "linux" {
		out, err := exec.CommandContext(t.Context(), file, "version").CombinedOutput() // #nosec G204 -- what was just built
		if err != nil || !strings.HasPrefix(string(out), "bonafide ") {
			t.Errorf("bonafide version: want its version, got %q, %v", out, err)
		}
	}
}

// neededFiles are the files of this module that the program is built from,
// relative to its root.
func neededFiles(t *testing.T) []string {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-json=Dir,GoFiles,EmbedFiles,Module", "./cmd/bonafide")
	list.Dir = root
	list.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	top, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"go.mod", "go.sum"}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for decoder.More() {
		var p struct {
			Dir                 string
			GoFiles, EmbedFiles []string
			Module              *struct{ Main bool }
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		if p.Module == nil || !p.Module.Main {
			continue
		}
		if _, err := os.ReadDir(p.Dir); err != nil {
			t.Fatal(err)
		}
		for _, name := range append(p.GoFiles, p.EmbedFiles...) {
			relative, err := filepath.Rel(top, filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			files = append(files, filepath.ToSlash(relative))
		}
	}
	return files
}

// TestImageBuildGetsWhatItNeeds: .dockerignore leaves nothing out that the
// program is built from, and what the Dockerfile copies exists.
func TestImageBuildGetsWhatItNeeds(t *testing.T) {
	needed := neededFiles(t)
	if len(needed) < 100 {
		t.Fatalf("expected the module's files, got %d", len(needed))
	}
	patterns := ignored(t)
	for _, file := range needed {
		if pattern := ignoredBy(patterns, file); pattern != "" {
			t.Errorf(".dockerignore: want %s in the build, got it left out by %q", file, pattern)
		}
	}
	if ignoredBy(patterns, "engine/engine_test.go") == "" || ignoredBy(patterns, "docs/a/b.md") == "" {
		t.Error(".dockerignore: want tests and documentation left out, got them in")
	}
	copies := 0
	for line := range strings.Lines(string(read(t, root, "Dockerfile"))) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "COPY" || strings.HasPrefix(words[1], "--from=") {
			continue
		}
		for _, source := range words[1 : len(words)-1] {
			copies++
			if _, err := os.Stat(filepath.Join(root, source)); err != nil {
				t.Errorf("Dockerfile: want %s to exist: %v", source, err)
			}
		}
	}
	if copies == 0 {
		t.Error("Dockerfile: want it to copy the source, got no COPY")
	}
}

func TestImageRunsAsNobody(t *testing.T) {
	stages := strings.Split(string(read(t, root, "Dockerfile")), "\nFROM ")
	last := "FROM " + stages[len(stages)-1]
	for _, want := range []string{"FROM scratch\n", "\nUSER 65532:65532\n", "/etc/ssl/certs/ca-certificates.crt", `ENTRYPOINT ["/bonafide"]`} {
		if !strings.Contains(last, want) {
			t.Errorf("the image's last stage: want %q, got\n%s", want, last)
		}
	}
}

func ignored(t *testing.T) []string {
	t.Helper()
	var patterns []string
	for line := range strings.Lines(string(read(t, root, ".dockerignore"))) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			patterns = append(patterns, line)
		}
	}
	return patterns
}

// ignoredBy returns the pattern that leaves a file out; "" if none does. It
// knows the forms that our file uses: a path from the root, and **/name.
func ignoredBy(patterns []string, file string) string {
	for _, pattern := range patterns {
		if name, anywhere := strings.CutPrefix(pattern, "**/"); anywhere {
			if matched, err := path.Match(name, path.Base(file)); err == nil && matched {
				return pattern
			}
			continue
		}
		if file == pattern || strings.HasPrefix(file, pattern+"/") {
			return pattern
		}
	}
	return ""
}
