package main

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"

	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/sigstore/sigstore/pkg/signature/kms/aws"
	"github.com/sigstore/sigstore/pkg/signature/kms/azure"
	"github.com/sigstore/sigstore/pkg/signature/kms/gcp"
	"github.com/sigstore/sigstore/pkg/signature/kms/hashivault"
	"github.com/sigstore/sigstore/pkg/signature/options"
)

// keyServices asks key management services for public keys, with the credentials
// of this process's environment, as each provider documents them. They go to the
// provider's own hosts, and to others that the operator has named (TRUST R6). It
// is safe for concurrent use.
//
// The providers are called by name: sigstore's registry of them would also run
// programs that it finds on the path.
type keyServices struct {
	// named reports whether the operator has named a host, with its port if the
	// URI has one.
	named func(host string) bool

	mu sync.Mutex
	// google holds one client for each URI: they cannot be closed.
	google map[string]*gcp.SignerVerifier
}

func newKeyServices(named func(host string) bool) *keyServices {
	return &keyServices{named: named, google: map[string]*gcp.SignerVerifier{}}
}

// PublicKey is the trust package's PublicKeyFunc.
func (k *keyServices) PublicKey(ctx context.Context, uri string) ([]byte, error) {
	service, err := k.service(ctx, uri)
	if err != nil {
		return nil, err
	}
	key, err := service.PublicKey(options.WithContext(ctx))
	if err != nil {
		return nil, err
	}
	return cryptoutils.MarshalPublicKeyToPEM(key)
}

func (k *keyServices) service(ctx context.Context, uri string) (signature.PublicKeyProvider, error) {
	if err := k.check(uri); err != nil {
		return nil, err
	}
	switch {
	case strings.HasPrefix(uri, aws.ReferenceScheme):
		return aws.LoadSignerVerifier(ctx, uri)
	case strings.HasPrefix(uri, azure.ReferenceScheme):
		return azure.LoadSignerVerifier(ctx, uri)
	case strings.HasPrefix(uri, hashivault.ReferenceScheme):
		return hashivault.LoadSignerVerifier(uri, crypto.SHA256)
	case strings.HasPrefix(uri, gcp.ReferenceScheme):
		return k.googles(ctx, uri)
	}
	return nil, errors.New("expected a key of awskms, azurekms, gcpkms or hashivault")
}

// googles outlives the context, as the client does.
func (k *keyServices) googles(ctx context.Context, uri string) (signature.PublicKeyProvider, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if known, found := k.google[uri]; found {
		return known, nil
	}
	client, err := gcp.LoadSignerVerifier(context.WithoutCancel(ctx), uri)
	if err != nil {
		return nil, err
	}
	k.google[uri] = client
	return client, nil
}

// check refuses what no service could answer, so that it does not look like an
// outage, and hosts that credentials must not go to.
func (k *keyServices) check(uri string) error {
	var err error
	var form string
	switch {
	case strings.HasPrefix(uri, aws.ReferenceScheme):
		err, form = aws.ValidReference(uri), "awskms://[host]/<key ID, ARN or alias/name>"
	case strings.HasPrefix(uri, azure.ReferenceScheme):
		err, form = azure.ValidReference(uri), "azurekms://<vault>.vault.azure.net/<key>[/<version>]"
	case strings.HasPrefix(uri, gcp.ReferenceScheme):
		err, form = gcp.ValidReference(uri), "gcpkms://projects/<p>/locations/<l>/keyRings/<r>/cryptoKeys/<k>[/cryptoKeyVersions/<v>]"
	case strings.HasPrefix(uri, hashivault.ReferenceScheme):
		err, form = hashivault.ValidReference(uri), "hashivault://<key>"
	}
	if err != nil {
		return fmt.Errorf("expected %s, got %.200q", form, uri)
	}
	return k.checkHost(uri)
}

// checkHost refuses to show credentials to a host that a policy made up. Google's
// URIs name none, and Vault's address is the operator's, $VAULT_ADDR.
func (k *keyServices) checkHost(uri string) error {
	var own *regexp.Regexp
	var rest string
	switch {
	case strings.HasPrefix(uri, aws.ReferenceScheme):
		own, rest = amazonHosts, strings.TrimPrefix(uri, aws.ReferenceScheme)
	case strings.HasPrefix(uri, azure.ReferenceScheme):
		own, rest = azureHosts, strings.TrimPrefix(uri, azure.ReferenceScheme)
	default:
		return nil
	}
	host, _, _ := strings.Cut(rest, "/")
	name := strings.ToLower(host)
	if bare, port, err := net.SplitHostPort(name); err == nil && port == "443" {
		name = bare
	}
	if host == "" || own.MatchString(name) || k.named != nil && k.named(host) {
		return nil
	}
	return fmt.Errorf("expected a host of the provider's, or one that the operator names, got %.100q", host)
}

var (
	// amazonHosts are those of AWS KMS, its VPC endpoints included. Customers'
	// machines have names in amazonaws.com too.
	amazonHosts = regexp.MustCompile(`^(?:kms(?:-fips)?\.[a-z0-9-]+\.(?:amazonaws\.com(?:\.cn)?|api\.aws)|[a-z0-9-]+\.kms(?:-fips)?\.[a-z0-9-]+\.vpce\.amazonaws\.com(?:\.cn)?)$`)
	// azureHosts are those of Key Vault and Managed HSM, in all clouds.
	azureHosts = regexp.MustCompile(`^[a-z0-9-]+\.(?:vault|managedhsm)\.(?:azure\.net|azure\.cn|usgovcloudapi\.net)$`)
)
