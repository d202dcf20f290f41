package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/semaphore"
	"golang.org/x/sync/singleflight"
	"oras.land/oras-go/v2/registry/remote/credentials"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// DockerConfig is the [Keychain] of a person or a node: Docker's config.json
// with its credential helpers. Pullers are ignored, and the credentials are the
// operator's. The file is read for each look-up, so that a login counts at once;
// a helper's answer is used for a minute. Make it with [NewDockerConfig].
type DockerConfig struct {
	file    string
	clock   func() time.Time
	answers *recent[helperKey, helperAnswer]
	flights singleflight.Group
	running *semaphore.Weighted // helpers
}

type helperKey struct{ helper, server string }

type helperAnswer struct {
	credential Credential
	until      time.Time
}

// NewDockerConfig reads file; if that is empty, config.json in $DOCKER_CONFIG
// or else in .docker of the home directory. An absent file holds no
// credentials.
func NewDockerConfig(file string, clock func() time.Time) *DockerConfig {
	return &DockerConfig{file: file, clock: clock, answers: newRecent[helperKey, helperAnswer](maxHosts), running: semaphore.NewWeighted(maxHelpers)}
}

func (k *DockerConfig) path() string {
	if k.file != "" {
		return k.file
	}
	if dir := os.Getenv("DOCKER_CONFIG"); dir != "" {
		return filepath.Join(dir, "config.json")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	return filepath.Join(home, ".docker", "config.json")
}

// Credentials implements [Keychain]. A helper that is named for the host comes
// before the store that is named for all, and that before the file's own
// entries.
func (k *DockerConfig) Credentials(ctx context.Context, _ evidence.Puller, r imageref.Repository) ([]Credential, error) {
	config, err := k.read()
	if err != nil {
		return nil, err
	}
	helper, found := config.credHelpers[r.Host()]
	if !found {
		helper = config.credsStore
	}
	if helper != "" {
		given, err := k.ask(ctx, helper, r.Host())
		if err != nil {
			return nil, err
		}
		if !given.IsZero() {
			return asOperator([]Credential{given}), nil
		}
	}
	return asOperator(matching(config.entries, r)), nil
}

func (k *DockerConfig) read() (dockerConfig, error) {
	name := k.path()
	if name == "" {
		return dockerConfig{}, nil
	}
	file, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return dockerConfig{}, nil
	}
	if err != nil {
		return dockerConfig{}, &evidence.Problem{Reason: evidence.CredentialsFailed, Path: name, Err: err}
	}
	defer file.Close()
	data, err := fill(make([]byte, 0, maxDockerConfig+1), file)
	if err != nil && !errors.Is(err, io.EOF) {
		return dockerConfig{}, &evidence.Problem{Reason: evidence.CredentialsFailed, Path: name, Err: err}
	}
	config, err := parseDockerConfig(data)
	if err != nil {
		return dockerConfig{}, &evidence.Problem{Reason: evidence.CredentialsFailed, Path: name, Err: err}
	}
	return config, nil
}

// ask runs docker-credential-<helper>, once for all who wait for it and within
// its own time.
func (k *DockerConfig) ask(ctx context.Context, helper, host string) (Credential, error) {
	if strings.ContainsAny(helper, `/\`) {
		return Credential{}, helperProblem(helper, "the suffix of a program's name", "a path")
	}
	server := host
	if host == "docker.io" {
		server = "https://index.docker.io/v1/" // the name under which docker login stores it
	}
	key := helperKey{helper: helper, server: server}
	if held, found := k.answers.get(key); found && k.clock().Before(held.until) {
		return held.credential, nil
	}
	done := k.flights.DoChan(helper+" "+server, func() (any, error) {
		given, err := k.run(context.WithoutCancel(ctx), helper, server)
		if err == nil {
			k.answers.put(key, helperAnswer{credential: given, until: k.clock().Add(helperLife)})
		}
		return given, err
	})
	timeout := time.NewTimer(helperTimeout)
	defer timeout.Stop()
	select {
	case <-ctx.Done():
		return Credential{}, contextProblem(ctx.Err())
	case <-timeout.C: // the program is dead; something that it started holds its output
		return Credential{}, helperProblem(helper, "an answer within "+helperTimeout.String(), "none")
	case result := <-done:
		given, _ := result.Val.(Credential) // the zero one comes with an error
		return given, result.Err
	}
}

func (k *DockerConfig) run(ctx context.Context, helper, server string) (Credential, error) {
	ctx, cancel := context.WithTimeout(ctx, helperTimeout)
	defer cancel()
	if err := k.running.Acquire(ctx, 1); err != nil {
		return Credential{}, helperProblem(helper, "one of the earlier helpers to end within "+helperTimeout.String(), "none")
	}
	defer k.running.Release(1)
	given, err := credentials.NewNativeStore(helper).Get(ctx, server)
	if err != nil {
		// What the helper printed is left out: it may be a secret.
		got := "an error of docker-credential-" + clip(helper)
		if errors.Is(err, exec.ErrNotFound) {
			got = "no program docker-credential-" + clip(helper)
		}
		return Credential{}, helperProblem(helper, "credentials", got)
	}
	return Credential{Username: given.Username, Password: given.Password, IdentityToken: given.RefreshToken}, nil
}

func helperProblem(helper, expected, got string) error {
	return &evidence.Problem{Reason: evidence.CredentialsFailed, Path: fmt.Sprintf("credential helper %q", clip(helper)), Expected: expected, Got: got}
}
