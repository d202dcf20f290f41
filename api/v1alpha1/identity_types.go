package v1alpha1

// Keyless is an identity in a certificate that a certificate authority of the
// trusted root has issued (TRUST R27). Exactly one of Issuer and IssuerRegExp
// MUST be set, and exactly one of Subject and SubjectRegExp, unless AnySubject.
//
// Regular expressions are RE2, and match the whole text: `^` and `$` are not
// needed (TRUST R14). A point stands for any character: write `\.` for a point.
//
// +kubebuilder:validation:XValidation:rule="has(self.issuer) != has(self.issuerRegExp)",message="exactly one of issuer and issuerRegExp"
// +kubebuilder:validation:XValidation:rule="!(has(self.subject) && has(self.subjectRegExp))",message="at most one of subject and subjectRegExp"
// +kubebuilder:validation:XValidation:rule="has(self.subject) || has(self.subjectRegExp) || (has(self.anySubject) && self.anySubject)",message="one of subject, subjectRegExp and anySubject: true"
type Keyless struct {
	// Issuer is the OIDC issuer that has vouched for the identity, such as
	// https://token.actions.githubusercontent.com.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Issuer string `json:"issuer,omitempty"`

	// IssuerRegExp is what the OIDC issuer must match.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	IssuerRegExp string `json:"issuerRegExp,omitempty"`

	// Subject is the certificate's subject alternative name: a mail address, a
	// URI such as that of a workflow, or a user name.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Subject string `json:"subject,omitempty"`

	// SubjectRegExp is what the subject alternative name must match.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	SubjectRegExp string `json:"subjectRegExp,omitempty"`

	// SourceRepository is the URI of the repository that was built, such as
	// https://github.com/acme/app, exactly as the certificate states it. It is
	// needed where the identity is a workflow of another repository: such a
	// workflow signs for whoever calls it (TRUST R27).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	SourceRepository string `json:"sourceRepository,omitempty"`

	// AnySubject admits patterns that match every identity of an issuer, or every
	// issuer, and no subject at all (TRUST R14). It is a weakening.
	//
	// +optional
	AnySubject bool `json:"anySubject,omitempty"`

	// CTLog says whether a certificate transparency log of the trusted root must
	// have promised to hold the certificate. Default Required; Ignored is a
	// weakening.
	//
	// +optional
	// +kubebuilder:default=Required
	CTLog TransparencyLog `json:"ctLog,omitempty"`

	// Extensions are further facts that the certificate must state, by name, such
	// as sourceRepositoryRef, sourceRepositoryDigest, buildTrigger,
	// runnerEnvironment or githubWorkflowTrigger: the names of Fulcio's
	// extensions (fulcio docs/oid-info.md) in camelCase.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	Extensions map[string]string `json:"extensions,omitempty"`

	// ExtensionsRegExp are what such facts must match. A name MUST NOT be in both.
	//
	// +optional
	// +kubebuilder:validation:MaxProperties=32
	ExtensionsRegExp map[string]string `json:"extensionsRegExp,omitempty"`
}

// GitHubWorkflow is a workflow of GitHub Actions on github.com. It is the same as
// Keyless with
//
//	issuer: https://token.actions.githubusercontent.com
//	sourceRepository: https://github.com/<repository>
//	subjectRegExp: the workflow, quoted, at any ref
//	extensions: {sourceRepositoryRef: <ref>}
//
// so that the repository and the ref are those that were built, whoever wrote the
// workflow. For GitHub Enterprise Server, with an issuer of its own, use Keyless.
type GitHubWorkflow struct {
	// Repository is the repository that was built, as GitHub writes it:
	// owner/name. Capitals count.
	//
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=200
	// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._-]+/[A-Za-z0-9._-]+$`
	Repository string `json:"repository"`

	// Workflow is the file that defines the job which signs: release.yml, or
	// .github/workflows/release.yml, of Repository; or for a reusable workflow
	// of another repository that repository's path, such as
	// acme/workflows/.github/workflows/sign.yml. The ref at which a workflow is
	// used may follow: release.yml@refs/heads/main. Without a ref each counts; of
	// another repository's workflow too, those of its pull requests included.
	// Default: every workflow of Repository.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	Workflow string `json:"workflow,omitempty"`

	// Ref is the git ref that was built, such as refs/heads/main. In it `*` stands
	// for any characters but a slash: refs/tags/v*. Default: every ref, those of
	// pull requests included, which is a weakening.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=512
	// +kubebuilder:validation:Pattern=`^refs/`
	Ref string `json:"ref,omitempty"`

	// CTLog says whether a certificate transparency log of the trusted root must
	// have promised to hold the certificate. Default Required; Ignored is a
	// weakening. GitHub's own instance of Sigstore, which signs for private
	// repositories, has no such log.
	//
	// +optional
	// +kubebuilder:default=Required
	CTLog TransparencyLog `json:"ctLog,omitempty"`
}

// SigningCertificate is a certificate of an authority that the policy names,
// rather than the trusted root. At least one of Certificate and Chain MUST be
// set. Where a log or a timestamp proves when a signature was made the
// certificates must have been valid then, else they must be now.
//
// +kubebuilder:validation:XValidation:rule="has(self.certificate) || has(self.chain)",message="at least one of certificate and chain"
type SigningCertificate struct {
	// Certificate is the certificate that must have signed. Without Chain it is
	// trusted as it is.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef and file"
	Certificate *Material `json:"certificate,omitempty"`

	// Chain are the authorities, intermediates first and the root last. With
	// Chain alone every certificate of theirs counts that has the subject.
	//
	// +optional
	// +kubebuilder:validation:XValidation:rule="[has(self.pem), has(self.secretRef), has(self.configMapRef), has(self.file)].exists_one(x, x)",message="exactly one of pem, secretRef, configMapRef and file"
	Chain *Material `json:"chain,omitempty"`

	// Subject is the subject alternative name of the certificates that count, with
	// Chain alone.
	//
	// +optional
	// +kubebuilder:validation:MaxLength=2048
	Subject string `json:"subject,omitempty"`

	// SubjectRegExp is what the subject alternative name must match: RE2, the
	// whole (TRUST R14).
	//
	// +optional
	// +kubebuilder:validation:MaxLength=1024
	SubjectRegExp string `json:"subjectRegExp,omitempty"`

	// AnySubject admits every certificate of the authorities. It is a weakening.
	//
	// +optional
	AnySubject bool `json:"anySubject,omitempty"`
}
