package registry

import (
	"context"
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
}

// Credentials implements [Keychain].
func (k PullSecrets) Credentials(ctx context.Context, p evidence.Puller, r imageref.Repository) ([]Credential, error) {
	names := p.PullSecrets
	if len(names) == 0 && p.ServiceAccount != "" && k.ServiceAccount != nil {
		var err error
		if names, err = k.ServiceAccount(ctx, p.Namespace, p.ServiceAccount); err != nil {
			return nil, secretProblem(fmt.Sprintf("service account %s/%s", p.Namespace, p.ServiceAccount), "that can be read", "an error")
		}
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
	for _, c := range asOperator(operators) {
		if !slices.Contains(found, c.content()) {
			found = append(found, c)
		}
	}
	return found, nil
}

// read returns the credentials for a repository that Secrets hold, the most
// specific first. what says in problems whose they are.
func (k PullSecrets) read(ctx context.Context, what string, names []evidence.SecretName, r imageref.Repository) ([]Credential, error) {
	if len(names) > maxPullSecrets {
		return nil, secretProblem(what+"s", fmt.Sprintf("at most %d names", maxPullSecrets), fmt.Sprintf("%d", len(names)))
	}
	var entries []configEntry
	for _, name := range names {
		where := fmt.Sprintf("%s %s/%s", what, clip(name.Namespace), clip(name.Name))
		data, err := k.Secrets.PullSecret(ctx, name.Namespace, name.Name)
		if err != nil {
			return nil, secretProblem(where, "a Secret that can be read", "an error")
		}
		if data == nil {
			continue
		}
		config, err := parseDockerConfig(data)
		if err != nil {
			return nil, &evidence.Problem{Reason: evidence.CredentialsFailed, Path: where, Err: err}
		}
		entries = append(entries, config.entries...)
	}
	slices.SortStableFunc(entries, compareEntries)
	return matching(entries, r), nil
}

func secretProblem(where, expected, got string) error {
	return &evidence.Problem{Reason: evidence.CredentialsFailed, Path: where, Expected: expected, Got: got}
}
