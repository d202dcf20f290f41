package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
)

// SecretGetter reads pull secrets.
type SecretGetter interface {
	// PullSecret returns the value of .dockerconfigjson or .dockercfg of a
	// Secret of either type, or nil if there is no such Secret. An error means
	// that it could not be told.
	PullSecret(ctx context.Context, namespace, name string) ([]byte, error)
}

// SecretGetterFunc is a function that is a [SecretGetter].
type SecretGetterFunc func(ctx context.Context, namespace, name string) ([]byte, error)

// PullSecret calls f.
func (f SecretGetterFunc) PullSecret(ctx context.Context, namespace, name string) ([]byte, error) {
	return f(ctx, namespace, name)
}

// PullSecrets is the [Keychain] of a cluster: the credentials that kubelet
// would use for the Pod. A secret that is absent counts as empty, as it does
// for kubelet; one that does not parse is a Problem. Credential helpers that a
// Secret names are not run: its author is a tenant.
//
// After them come the credentials of the Secrets that policies name
// ([evidence.Puller].Operator), under the same rules; they are marked as the
// operator's, but for those that the object's own Secrets hold too.
type PullSecrets struct {
	Secrets SecretGetter
	// ServiceAccount returns the names of the pull secrets of a service account,
	// which are used where the object names none; nil asks for none. It may
	// return no names for an absent account.
	ServiceAccount func(ctx context.Context, namespace, name string) ([]string, error)
	// Operator are Secrets of the operator that are tried for every image, after
	// the others. They are never an author's own (TRUST R36).
	Operator []evidence.SecretName
}

// defaultAccount is the service account of a Pod that names none.
const defaultAccount = "default"

// Credentials implements [Keychain].
func (k PullSecrets) Credentials(ctx context.Context, p evidence.Puller, r imageref.Repository) ([]Credential, error) {
	names, err := k.namesFor(ctx, p)
	if err != nil {
		return nil, err
	}
	own := make([]evidence.SecretName, 0, len(names))
	for _, name := range names {
		own = append(own, evidence.SecretName{Namespace: p.Namespace, Name: name})
	}
	found, err := k.read(ctx, "pull secret", own, r)
	if err != nil {
		return nil, err
	}
	operators, err := k.read(ctx, "the policy's pull secret", p.Operator, r)
	if err != nil {
		return nil, err
	}
	general, err := k.read(ctx, "the operator's pull secret", k.Operator, r)
	if err != nil {
		return nil, err
	}
	for _, c := range asOperator(append(operators, general...)) {
		if !slices.Contains(found, c.content()) && !slices.Contains(found, c) {
			found = append(found, c)
		}
	}
	return found, nil
}

// namesFor returns the pull secrets of the object or else of its service
// account.
func (k PullSecrets) namesFor(ctx context.Context, p evidence.Puller) ([]string, error) {
	if len(p.PullSecrets) > 0 || p.Namespace == "" || k.ServiceAccount == nil {
		return p.PullSecrets, nil
	}
	account := p.ServiceAccount
	if account == "" {
		account = defaultAccount
	}
	names, err := k.ServiceAccount(ctx, p.Namespace, account)
	if err != nil {
		return nil, lookUpProblem(fmt.Sprintf("service account %s/%s", clip(p.Namespace), clip(account)), "a service account that can be read", err)
	}
	return names, nil
}

// read returns the credentials for a repository that Secrets hold, the most
// specific first. what says in problems whose they are.
func (k PullSecrets) read(ctx context.Context, what string, names []evidence.SecretName, r imageref.Repository) ([]Credential, error) {
	if len(names) > maxPullSecrets {
		return nil, secretProblem(what+"s", fmt.Sprintf("at most %d names", maxPullSecrets), fmt.Sprintf("%d", len(names)))
	}
	var entries []configEntry
	room := maxSecretBytes
	for _, name := range names {
		where := fmt.Sprintf("%s %s/%s", what, clip(name.Namespace), clip(name.Name))
		data, err := k.Secrets.PullSecret(ctx, name.Namespace, name.Name)
		if err != nil {
			return nil, lookUpProblem(where, "a Secret that can be read", err)
		}
		if data == nil {
			continue
		}
		if room -= len(data); room < 0 {
			return nil, secretProblem(where, fmt.Sprintf("at most %d bytes of pull secrets together", maxSecretBytes), "more")
		}
		config, err := parseDockerConfig(data)
		if err != nil {
			return nil, &evidence.Problem{Reason: evidence.CredentialsFailed, Path: where, Err: err}
		}
		if entries = append(entries, config.entries...); len(entries) > maxConfigEntries {
			return nil, secretProblem(where, fmt.Sprintf("at most %d registries in pull secrets together", maxConfigEntries), "more")
		}
	}
	slices.SortStableFunc(entries, compareEntries)
	return matching(entries, r), nil
}

// lookUpProblem keeps what the getter classified. The text of another error is
// left out: it may hold what was read (TRUST R47).
func lookUpProblem(where, expected string, err error) error {
	var p *evidence.Problem
	if !errors.As(err, &p) || p.Reason != evidence.CredentialsFailed {
		return secretProblem(where, expected, "an error")
	}
	return secretProblem(where, p.Expected, p.Got)
}

func secretProblem(where, expected, got string) error {
	return &evidence.Problem{Reason: evidence.CredentialsFailed, Path: where, Expected: expected, Got: got}
}
