package cloudkeys

import (
	"context"
	"errors"
	"io"

	ecr "github.com/awslabs/amazon-ecr-credential-helper/ecr-login"

	"github.com/bonafide-dev/bonafide/registry"
)

// amazon gives tokens of ECR by Amazon's default chain: environment, files, web
// identity, container and instance metadata. A token is for one account and
// region, which are the host.
type amazon struct{ helper *ecr.ECRHelper }

func newAmazon() amazon {
	return amazon{helper: ecr.NewECRHelper(ecr.WithLogger(io.Discard))} // its log may quote requests (TRUST R47)
}

// Scope implements [Provider].
func (amazon) Scope(host string) (string, bool) { return host, isAmazon(host) }

// Credential implements [Provider]. The library takes no context.
func (a amazon) Credential(_ context.Context, host string) (registry.Credential, error) {
	username, password, err := a.helper.Get(host)
	if err != nil {
		return registry.Credential{}, err
	}
	if username == "" || password == "" {
		return registry.Credential{}, errNothing
	}
	return registry.Credential{Username: username, Password: password}, nil
}

// errNothing is for a library that gives neither a credential nor an error.
var errNothing = errors.New("expected a username and a secret, got nothing")
