package testca

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Extension is the number of one of Fulcio's extensions below
// 1.3.6.1.4.1.57264.1 (fulcio docs/oid-info.md). Those below 7 are the older
// ones, whose values are not encoded.
type Extension int

// Fulcio's extensions. The issuer's, 1 and 8, have options of their own.
const (
	GitHubWorkflowTrigger           Extension = 2
	GitHubWorkflowSHA               Extension = 3
	GitHubWorkflowName              Extension = 4
	GitHubWorkflowRepository        Extension = 5
	GitHubWorkflowRef               Extension = 6
	BuildSignerURI                  Extension = 9
	BuildSignerDigest               Extension = 10
	RunnerEnvironment               Extension = 11
	SourceRepositoryURI             Extension = 12
	SourceRepositoryDigest          Extension = 13
	SourceRepositoryRef             Extension = 14
	SourceRepositoryIdentifier      Extension = 15
	SourceRepositoryOwnerURI        Extension = 16
	SourceRepositoryOwnerIdentifier Extension = 17
	BuildConfigURI                  Extension = 18
	BuildConfigDigest               Extension = 19
	BuildTrigger                    Extension = 20
	RunInvocationURI                Extension = 21
	SourceRepositoryVisibility      Extension = 22

	oldIssuer Extension = 1
	userName  Extension = 7 // the type of an otherName, not an extension
	issuer    Extension = 8
	lastRaw             = GitHubWorkflowRef
)

// Kinds of GeneralName (RFC 5280 §4.2.1.6).
const (
	otherNameTag = 0
	mailTag      = 1
	uriTag       = 6
)

// OID returns the extension's object identifier.
func (e Extension) OID() asn1.ObjectIdentifier {
	return asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 57264, 1, int(e)}
}

// GitHub returns options as Fulcio issues to a workflow of GitHub Actions: the
// repository, such as "acme/app", its workflow file, such as "release.yml",
// and the ref, such as "refs/heads/main".
func GitHub(repository, workflow, ref string) CertificateOptions {
	const (
		commit = "f0b49a04e5a62250e0f60fb128004a73110fe311"
		runID  = "5904696764"
	)
	owner, _, _ := strings.Cut(repository, "/")
	home := "https://github.com/"
	file := home + repository + "/.github/workflows/" + workflow + "@" + ref
	return CertificateOptions{Subject: file, Issuer: DefaultIssuer, Extensions: map[Extension]string{
		GitHubWorkflowTrigger: "push", GitHubWorkflowSHA: commit, GitHubWorkflowName: "Release",
		GitHubWorkflowRepository: repository, GitHubWorkflowRef: ref,
		BuildSignerURI: file, BuildSignerDigest: commit, RunnerEnvironment: "github-hosted",
		SourceRepositoryURI: home + repository, SourceRepositoryDigest: commit, SourceRepositoryRef: ref,
		SourceRepositoryIdentifier: "495574555", SourceRepositoryOwnerURI: home + owner, SourceRepositoryOwnerIdentifier: "71096353",
		BuildConfigURI: file, BuildConfigDigest: commit, BuildTrigger: "push",
		RunInvocationURI: home + repository + "/actions/runs/" + runID + "/attempts/1", SourceRepositoryVisibility: "public",
	}}
}

func (o CertificateOptions) extensions() ([]pkix.Extension, error) {
	var all []pkix.Extension
	if !o.NoSubject {
		names, err := o.names()
		if err != nil {
			return nil, err
		}
		all = append(all, names)
	}
	who := o.Issuer
	if who == "" {
		who = DefaultIssuer
	}
	old := who
	if o.OldIssuer != "" {
		old = o.OldIssuer
	}
	if !o.NoOldIssuer {
		all = append(all, pkix.Extension{Id: oldIssuer.OID(), Value: []byte(old)})
	}
	values := maps.Clone(o.Extensions)
	if values == nil {
		values = map[Extension]string{}
	}
	if !o.NoIssuer {
		values[issuer] = who
	}
	for _, e := range slices.Sorted(maps.Keys(values)) {
		encoded := []byte(values[e])
		if e > lastRaw {
			var err error
			if encoded, err = asn1.MarshalWithParams(values[e], "utf8"); err != nil {
				return nil, fmt.Errorf("write extension %d: %w", e, err)
			}
		}
		all = append(all, pkix.Extension{Id: e.OID(), Value: encoded})
	}
	return append(all, o.RawExtensions...), nil
}

// names returns the extension of the subject's alternative names. It is
// critical, since the subject is empty (RFC 5280 §4.2.1.6).
func (o CertificateOptions) names() (pkix.Extension, error) {
	first := o.Subject
	if first == "" {
		first = DefaultSubject
	}
	var values []asn1.RawValue
	for _, name := range append([]string{first}, o.Also...) {
		value, err := generalName(name)
		if err != nil {
			return pkix.Extension{}, err
		}
		values = append(values, value)
	}
	raw, err := asn1.Marshal(values)
	if err != nil {
		return pkix.Extension{}, fmt.Errorf("write names: %w", err)
	}
	return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Critical: !o.SelfSigned, Value: raw}, nil
}

func generalName(name string) (asn1.RawValue, error) {
	value := asn1.RawValue{Class: asn1.ClassContextSpecific, Bytes: []byte(name)}
	switch {
	case strings.Contains(name, "://"):
		value.Tag = uriTag
	case strings.Contains(name, "@"):
		value.Tag = mailTag
	default:
		kind, err := asn1.Marshal(userName.OID())
		if err != nil {
			return asn1.RawValue{}, fmt.Errorf("write a user name: %w", err)
		}
		text, err := asn1.MarshalWithParams(name, "utf8,explicit,tag:0")
		if err != nil {
			return asn1.RawValue{}, fmt.Errorf("write a user name: %w", err)
		}
		value.Tag, value.IsCompound, value.Bytes = otherNameTag, true, append(kind, text...)
	}
	return value, nil
}
