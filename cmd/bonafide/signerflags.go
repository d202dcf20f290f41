package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/bonafide-dev/bonafide/dialect"
	"github.com/bonafide-dev/bonafide/internal/policyset"
	"github.com/bonafide-dev/bonafide/internal/trust"
	"github.com/bonafide-dev/bonafide/policy"
)

// signerFlags name Sigstore signers on the command line. Together they are one
// requirement, which any of them satisfies.
type signerFlags struct {
	keys                   []string
	identity, identityRe   string
	issuer, issuerRe       string
	sourceRepository       string
	certificate, authority string
	trustedRoot            string
	ignoreLog, ignoreSCT   bool
}

func (o *signerFlags) register(f *pflag.FlagSet) {
	f.StringArrayVar(&o.keys, "key", nil, "public key `FILE` in PEM, or the URI of a key that a KMS holds (awskms:, azurekms:, gcpkms:, hashivault:); repeatable")
	f.StringVar(&o.identity, "certificate-identity", "", "keyless signer: the `IDENTITY` that its certificate names, such as a workflow's URI or an e-mail address")
	f.StringVar(&o.identityRe, "certificate-identity-regexp", "", "keyless signer: `REGEXP` (RE2) for the whole identity")
	f.StringVar(&o.issuer, "certificate-oidc-issuer", "", "keyless signer: `URL` of the OIDC issuer that vouches for the identity")
	f.StringVar(&o.issuerRe, "certificate-oidc-issuer-regexp", "", "keyless signer: `REGEXP` (RE2) for the whole issuer")
	f.StringVar(&o.sourceRepository, "certificate-source-repository", "", "keyless signer: `URI` of the repository that was built, where a reusable workflow of another one signs")
	f.StringVar(&o.certificate, "certificate", "", "certificate `FILE` in PEM of the signer")
	f.StringVar(&o.authority, "certificate-chain", "", "authorities' `FILE` in PEM of --certificate, the root last")
	f.StringVar(&o.trustedRoot, "trusted-root", "", "Sigstore trusted root `FILE` with the logs and authorities, or public-good for Sigstore's own as of our snapshot")
	f.BoolVar(&o.ignoreSCT, "insecure-ignore-sct", false, "keyless signer: accept certificates that no certificate transparency log has promised to hold")
	f.BoolVar(&o.ignoreLog, "insecure-ignore-tlog", false, "accept signatures without a transparency log entry")
}

func (o signerFlags) keyless() bool {
	return o.identity+o.identityRe+o.issuer+o.issuerRe+o.sourceRepository != ""
}

// none reports whether the flags name nobody.
func (o signerFlags) none() bool { return len(o.keys) == 0 && !o.keyless() && o.certificate == "" }

func (o signerFlags) check() error {
	switch {
	case o.identity != "" && o.identityRe != "":
		return errors.New("--certificate-identity and --certificate-identity-regexp: expected one, got both")
	case o.issuer != "" && o.issuerRe != "":
		return errors.New("--certificate-oidc-issuer and --certificate-oidc-issuer-regexp: expected one, got both")
	case o.keyless() && o.identity+o.identityRe == "":
		return hintError{errors.New("expected --certificate-identity beside the issuer, got none"), "an issuer vouches for everybody who has an account: say whose signature counts"}
	case o.keyless() && o.issuer+o.issuerRe == "":
		return hintError{errors.New("expected --certificate-oidc-issuer beside the identity, got none"), "say who vouches for the identity, for example https://token.actions.githubusercontent.com"}
	case o.keyless() && o.trustedRoot == "":
		return hintError{errors.New("--certificate-identity: expected --trusted-root, got none"), "--trusted-root public-good is Sigstore's own instance, as of our snapshot"}
	case o.ignoreSCT && !o.keyless():
		return errors.New("--insecure-ignore-sct: expected --certificate-identity, got none")
	case o.authority != "" && o.certificate == "":
		return errors.New("--certificate-chain: expected --certificate, got none")
	}
	return nil
}

// signers makes those that the flags name.
func (o signerFlags) signers(make policyset.Signers) ([]policy.Signature, error) {
	var of []policy.Signature
	common := dialect.SigstoreSpec{LogIgnored: o.ignoreLog}
	for _, name := range o.keys {
		spec := dialect.KeySpec{SigstoreSpec: common, KMS: name}
		if !isKMS(name) {
			pem, err := dialect.ReadFile(name)
			if err != nil {
				return nil, fmt.Errorf("--key: %w", err)
			}
			spec.KMS, spec.PEM = "", pem
		}
		signer, err := make.Key(spec)
		if err != nil {
			return nil, o.hinted(fmt.Errorf("--key %s: %w", name, err))
		}
		of = append(of, policy.Signature{Name: name, Signer: signer})
	}
	if o.keyless() {
		signer, err := make.Keyless(dialect.KeylessSpec{
			SigstoreSpec: common, Issuer: o.issuer, IssuerRegExp: o.issuerRe,
			Subject: o.identity, SubjectRegExp: o.identityRe, SourceRepository: o.sourceRepository, CTLogIgnored: o.ignoreSCT,
		})
		if err != nil {
			return nil, o.hinted(fmt.Errorf("%s: %w", o.flagOf(err), err))
		}
		of = append(of, policy.Signature{Signer: signer})
	}
	if o.certificate != "" {
		signer, err := o.certified(make, common)
		if err != nil {
			return nil, err
		}
		of = append(of, policy.Signature{Name: o.certificate, Signer: signer})
	}
	return of, nil
}

func (o signerFlags) certified(make policyset.Signers, common dialect.SigstoreSpec) (policy.Signer, error) {
	spec := dialect.CertificateSpec{SigstoreSpec: common}
	var err error
	if spec.Certificate, err = dialect.ReadFile(o.certificate); err != nil {
		return nil, fmt.Errorf("--certificate: %w", err)
	}
	if o.authority != "" {
		if spec.Chain, err = dialect.ReadFile(o.authority); err != nil {
			return nil, fmt.Errorf("--certificate-chain: %w", err)
		}
	}
	signer, err := make.Certificate(spec)
	if err != nil {
		return nil, o.hinted(fmt.Errorf("--certificate %s: %w", o.certificate, err))
	}
	return signer, nil
}

// flagOf names the flag that an error is about.
func (o signerFlags) flagOf(err error) string {
	var spec *dialect.SpecError
	if !errors.As(err, &spec) {
		return "--certificate-identity"
	}
	switch spec.Field {
	case dialect.FieldIssuer:
		if o.issuerRe != "" {
			return "--certificate-oidc-issuer-regexp"
		}
		return "--certificate-oidc-issuer"
	case dialect.FieldSourceRepository:
		return "--certificate-source-repository"
	case dialect.FieldTransparencyLog, dialect.FieldTrustedRoot, dialect.FieldCTLog:
		return "--trusted-root"
	}
	if o.identityRe != "" {
		return "--certificate-identity-regexp"
	}
	return "--certificate-identity"
}

// isKMS reports whether a key is named by the URI of a key management service.
func isKMS(key string) bool {
	scheme, _, is := strings.Cut(key, "://")
	return is && slices.Contains(trust.KeySchemes(), scheme)
}

// anyOf asks for a signature by any of the signers.
func anyOf(signers []policy.Signature) policy.Requirement {
	if len(signers) == 1 {
		return signers[0]
	}
	var of []policy.Requirement
	for _, s := range signers {
		of = append(of, s)
	}
	return policy.AnyOf{Of: of}
}

// hinted adds what to do about a log that is required and not known.
func (o signerFlags) hinted(err error) error {
	var spec *dialect.SpecError
	if errors.As(err, &spec) && spec.Field == dialect.FieldCTLog {
		return hintError{err, "for an instance without certificate transparency: --insecure-ignore-sct"}
	}
	if o.trustedRoot == "" && !o.ignoreLog {
		return hintError{err, "a transparency log entry is required: give --trusted-root, or --insecure-ignore-tlog for a signer that is guarded otherwise"}
	}
	return err
}
