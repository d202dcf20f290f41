package rig

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
)

// modulePath is how the module's root folder is recognised.
const modulePath = "github.com/bonafide-dev/bonafide"

// heartbeat is how often a long build says that it goes on. Machines that run
// tests tend to end what is silent for minutes.
const heartbeat = 30 * time.Second

// A program is something that the rig builds from a nested module.
type program struct {
	name    string
	folder  string // below hack/
	pkg     string // what to build there
	module  string // whose version is the program's
	takes   string // from an empty cache on two cores
	ldflags func(version string) string
}

func programs() []program {
	return []program{
		{name: "etcd", folder: "etcd", pkg: ".", module: "go.etcd.io/etcd/server/v3", takes: "a minute"},
		{
			name: "kube-apiserver", folder: "apiserver", pkg: "k8s.io/kubernetes/cmd/kube-apiserver", module: "k8s.io/kubernetes",
			takes: "4 minutes", ldflags: kubernetesVersion,
		},
		{name: "helm", folder: "helm", pkg: "helm.sh/helm/v3/cmd/helm", module: "helm.sh/helm/v3", takes: "4 minutes", ldflags: helmVersion},
		{name: "registry", folder: "registry", pkg: "github.com/distribution/distribution/v3/cmd/registry", module: "github.com/distribution/distribution/v3", takes: "2 minutes"},
		{name: "cosign", folder: "cosign", pkg: "github.com/sigstore/cosign/v3/cmd/cosign", module: "github.com/sigstore/cosign/v3", takes: "4 minutes"},
		{name: "gatekeeper", folder: "gatekeeper", pkg: "github.com/open-policy-agent/gatekeeper/v3", module: "github.com/open-policy-agent/gatekeeper/v3", takes: "3 minutes"},
		{name: "kyverno", folder: "kyverno", pkg: "github.com/kyverno/kyverno/cmd/kyverno", module: "github.com/kyverno/kyverno", takes: "7 minutes"},
		{name: "ratify", folder: "ratify", pkg: "github.com/ratify-project/ratify/cmd/ratify", module: "github.com/ratify-project/ratify", takes: "4 minutes"},
		{name: "controller-gen", folder: "controller-gen", pkg: "sigs.k8s.io/controller-tools/cmd/controller-gen", module: "sigs.k8s.io/controller-tools", takes: "20 seconds"},
		{name: "golangci-lint", folder: "lint", pkg: "github.com/golangci/golangci-lint/v2/cmd/golangci-lint", module: "github.com/golangci/golangci-lint/v2", takes: "3 minutes"},
	}
}

// kubernetesVersion stamps the version that Kubernetes' own build would. A
// server without one answers with a version that clients refuse to parse.
func kubernetesVersion(version string) string {
	parts := strings.SplitN(strings.TrimPrefix(version, "v"), ".", 3)
	var b strings.Builder
	for i, field := range []string{"gitMajor", "gitMinor"} {
		if i < len(parts) {
			fmt.Fprintf(&b, "-X k8s.io/component-base/version.%s=%s ", field, parts[i])
		}
	}
	fmt.Fprintf(&b, "-X k8s.io/component-base/version.gitVersion=%s ", version)
	b.WriteString("-X k8s.io/component-base/version.gitCommit=0 -X k8s.io/component-base/version.gitTreeState=clean")
	return b.String()
}

// helmVersion stamps the version, which charts may ask for. Helm's own build
// does so; without it Helm calls itself the first release of its series.
func helmVersion(version string) string {
	return "-X helm.sh/helm/v3/internal/version.version=" + version
}

// Programs returns the names that [Binary] knows, those that tests run first.
func Programs() []string {
	var names []string
	for _, p := range programs() {
		names = append(names, p.name)
	}
	return names
}

// Binary returns the path of the named program's executable, which it builds
// on first use, with progress on standard error. The executable is kept outside
// the source tree, in $BONAFIDE_CACHE or else in the user's cache folder, under
// a name that holds everything that went into it. Concurrent calls, also of
// other processes, build once.
func Binary(ctx context.Context, name string) (string, error) {
	p, err := programOf(name)
	if err != nil {
		return "", err
	}
	path, err := p.binary(ctx)
	if err != nil {
		return "", fmt.Errorf("build %s: %w", name, err)
	}
	return path, nil
}

func programOf(name string) (program, error) {
	i := slices.IndexFunc(programs(), func(p program) bool { return p.name == name })
	if i < 0 {
		return program{}, fmt.Errorf("build %q: expected one of %s", name, strings.Join(Programs(), ", "))
	}
	return programs()[i], nil
}

func (p program) binary(ctx context.Context) (string, error) {
	root, err := moduleRoot()
	if err != nil {
		return "", err
	}
	source := filepath.Join(root, "hack", p.folder)
	version, err := requiredVersion(source, p.module)
	if err != nil {
		return "", err
	}
	args := p.buildArgs(version)
	key, err := buildKey(ctx, source, args)
	if err != nil {
		return "", err
	}
	cache, err := cacheFolder()
	if err != nil {
		return "", err
	}
	target := filepath.Join(cache, p.name+"-"+key, p.name)
	if exists(target) {
		return target, nil
	}
	if err := os.MkdirAll(filepath.Dir(target), 0o750); err != nil {
		return "", err
	}
	unlock, err := lock(filepath.Join(cache, p.name+".lock"))
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(target) { // another process built it while this one waited
		return target, nil
	}
	return target, p.build(ctx, source, target, version, args)
}

func (p program) buildArgs(version string) []string {
	args := []string{"build", "-trimpath", "-buildvcs=false"}
	if p.ldflags != nil {
		args = append(args, "-ldflags", p.ldflags(version))
	}
	return args
}

// build writes to a temporary name first, so that a target that exists is whole.
func (p program) build(ctx context.Context, source, target, version string, args []string) error {
	progress("building %s %s (once, about %s) …", p.name, version, p.takes)
	began := time.Now()
	unfinished := target + ".unfinished"
	var output strings.Builder
	// #nosec G204 -- the arguments are this package's own.
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", unfinished, p.pkg)...)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly", "GOWORK=off")
	cmd.Stdout, cmd.Stderr = &output, &output
	stop := beat(p.name, began)
	err := cmd.Run()
	stop()
	if err != nil {
		return fmt.Errorf("go %s: %w\n%s", strings.Join(args, " "), err, output.String())
	}
	if err := os.Rename(unfinished, target); err != nil {
		return err
	}
	progress("built %s in %s", p.name, time.Since(began).Round(time.Second))
	return nil
}

// beat says now and then that a build goes on, until the returned func is called.
func beat(name string, began time.Time) func() {
	done := make(chan struct{})
	go func() {
		ticker := time.NewTicker(heartbeat)
		defer ticker.Stop()
		for {
			select {
			case <-done:
				return
			case now := <-ticker.C:
				progress("still building %s: %s", name, now.Sub(began).Round(time.Second))
			}
		}
	}()
	return func() { close(done) }
}

func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "rig: "+format+"\n", args...)
}

// moduleRoot looks upward from the working folder, which for a test is its
// package's folder.
func moduleRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for folder := start; ; folder = filepath.Dir(folder) {
		content, err := os.ReadFile(filepath.Join(folder, "go.mod"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if err == nil && modfile.ModulePath(content) == modulePath {
			return folder, nil
		}
		if folder == filepath.Dir(folder) {
			return "", fmt.Errorf("expected to run inside the module %s, got %q", modulePath, start)
		}
	}
}

// requiredVersion reads the version of a module from the go.mod in folder.
func requiredVersion(folder, module string) (string, error) {
	path := filepath.Join(folder, "go.mod")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	file, err := modfile.ParseLax(path, content, nil)
	if err != nil {
		return "", err
	}
	for _, r := range file.Require {
		if r.Mod.Path == module {
			return r.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s: expected a requirement of %s, got none", path, module)
}

// buildKey names the content that a build depends on: the nested module's
// files, its flags and the toolchain.
func buildKey(ctx context.Context, source string, args []string) (string, error) {
	toolchain := exec.CommandContext(ctx, "go", "env", "GOVERSION", "GOOS", "GOARCH", "CGO_ENABLED")
	toolchain.Dir = source
	out, err := toolchain.Output()
	if err != nil {
		return "", fmt.Errorf("go env: %w", err)
	}
	hash := sha256.New()
	fmt.Fprintf(hash, "%q\n%q\n", out, args)
	entries, err := os.ReadDir(source) // sorted by name
	if err != nil {
		return "", err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			continue
		}
		content, err := os.ReadFile(filepath.Join(source, entry.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintf(hash, "%q %d\n", entry.Name(), len(content))
		hash.Write(content)
	}
	return hex.EncodeToString(hash.Sum(nil))[:16], nil
}

func cacheFolder() (string, error) {
	folder := os.Getenv("BONAFIDE_CACHE")
	if folder == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("find a cache folder (BONAFIDE_CACHE names one): %w", err)
		}
		folder = filepath.Join(user, "bonafide", "rig")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return "", err
	}
	return folder, os.MkdirAll(folder, 0o750) // #nosec G703 -- the caller's own environment names it
}

func exists(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
