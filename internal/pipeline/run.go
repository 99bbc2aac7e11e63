package pipeline

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"reqpm/internal/override"
	"reqpm/internal/plan"
	"reqpm/internal/source"
	"reqpm/internal/target"
)

// Request is one run: from a Git URL or a folder to a published, proven repository.
type Request struct {
	Source       source.Request
	References   source.Policy // what requirements by URL may name beside https and ssh to public hosts
	Wanted       Wanted
	Name         string // of the project; "": from its address
	Channel      string // "": stable
	KeyFile      string
	ProofCommand string // shell text run in the proof root; its exit status counts
	NoProof      bool
}

// Summary is the end of a run, in the shape that scripts rely on.
type Summary struct {
	Event      string     `json:"event"`
	Project    string     `json:"project"`
	Commit     string     `json:"commit"`
	Target     string     `json:"target"`
	Built      []*Outcome `json:"built"`
	Reused     []*Outcome `json:"reused"`
	Distro     []*Outcome `json:"distribution"` // reused from the distribution, neither built nor published
	Failed     []*Outcome `json:"failed"`
	Blocked    []*Outcome `json:"blocked"`
	Waiting    []*Outcome `json:"waiting,omitempty"` // not begun when the run was cancelled
	Repository string     `json:"repository"`
	RepoFile   string     `json:"repo_file"`
	SetName    string     `json:"set_name"`
	Apt        []string   `json:"apt,omitempty"` // packages of Debian or Ubuntu that the set needs, for apt-get install
	Foreign    bool       `json:"-"`             // the machine's own packages are not rpm's
	Proof      *Proof     `json:"proof"`
	Logs       string     `json:"logs"`
	Seconds    float64    `json:"seconds"`
}

// Prepared is a run up to its lock.
type Prepared struct {
	Checkout source.Checkout
	Analysis Analysis
	Package  *Project // the project itself, nil when it is not packaged
	Lock     *Lock
	Project  string

	in      Input // what Lock was resolved from
	tree    fs.FS
	said    override.Set // by the project's files
	nothing error        // why there is nothing to resolve, unless the project's own metadata says more
}

// Prepare checks out, analyses and resolves.
func (p *Pipeline) Prepare(ctx context.Context, req Request) (*Prepared, error) {
	prepared, err := p.Read(ctx, req)
	if err != nil {
		return prepared, err
	}
	return prepared, p.settle(ctx, req, prepared)
}

// Read is the part of Prepare that no target has a say in: the checkout and what its files say.
func (p *Pipeline) Read(ctx context.Context, req Request) (*Prepared, error) {
	p.stage("source", "check out "+source.Redacted(req.Source.URL))
	req.Source.Tmp = p.paths.tmp()
	checkout, err := source.Fetch(ctx, req.Source)
	if err != nil {
		return nil, err
	}
	for _, warning := range checkout.Warnings {
		p.warn("source", warning)
	}
	prepared := &Prepared{Checkout: checkout, Project: cmp.Or(req.Name, projectName(req.Source.URL))}
	if prepared.tree, err = checkout.FS(); err != nil {
		return prepared, err
	}
	if prepared.said, err = p.readSaid(prepared.tree); err != nil {
		return prepared, err
	}
	prepared.Analysis, err = p.Analyze(ctx, prepared.tree, req.Wanted)
	if errors.Is(err, ErrNoRequirements) && !req.Wanted.NoProject && hasBuildSystem(checkout.Dir) {
		prepared.nothing, err = err, nil // its build backend knows what it needs: setup.py alone says it to nobody else
	}
	return prepared, err
}

// settle is the part of Prepare that is done for each target.
func (p *Pipeline) settle(ctx context.Context, req Request, prepared *Prepared) (err error) {
	checkout := prepared.Checkout
	p.heed(prepared.said)
	if err := p.followIndexes(prepared.Analysis.Set, checkout.Dir); err != nil {
		return err
	}
	for _, r := range prepared.Analysis.Set.BuildConstraints {
		p.cfg.BuildConstraints = append(p.cfg.BuildConstraints, r.Requirement)
	}
	in := Input{Set: prepared.Analysis.Set, Ignore: req.Wanted.Ignore}
	if !req.Wanted.NoProject {
		if in.Project, err = p.Package(ctx, checkout); err != nil {
			if ctx.Err() != nil || fatal(err) && !errors.Is(err, errBase) || prepared.nothing != nil {
				return errors.Join(prepared.nothing, err)
			}
			p.warn("analyze", "the project itself is not packaged, its requirements are: "+lastLine(err.Error()))
		}
	}
	prepared.Package = in.Project
	if err := p.fitsInputs(prepared); err != nil {
		return err
	}
	from := req.Source
	from.Allow, from.Tmp = req.References, p.paths.tmp()
	in.Set.Requirements = slices.Clone(in.Set.Requirements) // other targets share them
	p.lockedCommits(&in.Set)
	p.keptCommits(&in.Set)
	if err := p.fetchDirect(ctx, checkout, &in, from); err != nil {
		return err
	}
	prepared.in = in
	prepared.Lock, err = p.Resolve(ctx, in)
	return err
}

// Run walks the whole line. The summary is complete also when builds failed, which is no
// error here; an error means that a stage before or behind the builds could not do its work.
func (p *Pipeline) Run(ctx context.Context, req Request) (Summary, error) {
	started := time.Now()
	prepared, err := p.Prepare(ctx, req)
	s, work, err := p.planRun(ctx, prepared, started, err)
	if err == nil {
		err = p.carryOut(ctx, req, prepared, work, &s)
	}
	s.Seconds = time.Since(started).Seconds()
	return s, p.explainDisk(err)
}

// planRun begins the summary and plans; err is how preparing ended.
func (p *Pipeline) planRun(ctx context.Context, prepared *Prepared, started time.Time, err error) (Summary, *Work, error) {
	s := Summary{Event: "summary", Target: p.cfg.Target.Name, Foreign: p.cfg.Target.Kind == target.Host, Built: []*Outcome{}, Reused: []*Outcome{}, Distro: []*Outcome{}, Failed: []*Outcome{}, Blocked: []*Outcome{}}
	if err != nil {
		return s, nil, err
	}
	s.Project, s.Commit = prepared.Project, prepared.Checkout.Commit
	s.Logs = filepath.Join(p.paths.runs(), fmt.Sprintf("%s-%s-%s", started.UTC().Format("20060102-150405.000"), s.Project, s.Target))
	work, err := p.Plan(ctx, prepared.Lock)
	return s, work, err
}

// carryOut is a run behind its plan: build, publish, prove.
func (p *Pipeline) carryOut(ctx context.Context, req Request, prepared *Prepared, work *Work, s *Summary) error {
	outcomes, err := p.Build(ctx, work, s.Logs)
	s.sort(work, outcomes)
	if err != nil || len(s.Failed)+len(s.Blocked) > 0 {
		return err // what is published is whole or not at all
	}
	published, err := p.Publish(ctx, work, outcomes, Publishing{Project: s.Project, Channel: cmp.Or(req.Channel, "stable"), KeyFile: req.KeyFile,
		Time: prepared.Checkout.CommitTime, Logs: s.Logs})
	if err != nil {
		return err
	}
	s.Repository, s.RepoFile, s.SetName = published.Snapshot.Current, published.Snapshot.RepoFile, published.SetName
	s.Apt = published.Apt
	if req.NoProof {
		return nil
	}
	proof, err := p.Verify(ctx, work, outcomes, published, s.Logs, req.ProofCommand)
	s.Proof = &proof
	return err
}

// sort puts every outcome into its list, in build order.
func (s *Summary) sort(work *Work, outcomes map[plan.ID]*Outcome) {
	lists := map[string]*[]*Outcome{StateBuilt: &s.Built, StateReused: &s.Reused, StateDistro: &s.Distro, StateFailed: &s.Failed, StateBlocked: &s.Blocked, StateWaiting: &s.Waiting}
	for _, id := range work.Plan.Order() {
		if o := outcomes[id]; o != nil {
			*lists[o.State] = append(*lists[o.State], o)
		}
	}
}

// OK tells whether everything was built and, when asked for, proven.
func (s Summary) OK() bool {
	return len(s.Failed)+len(s.Blocked)+len(s.Waiting) == 0 && (s.Proof == nil || s.Proof.OK)
}

// TopLevelNames are the packages a user named himself, for the install lines.
func (prep *Prepared) TopLevelNames() []string { return slices.Clone(prep.Lock.TopLevel) }

// projectName makes a folder name of an address: its last segment, and enough of a digest
// that two projects with the same last segment never meet.
func projectName(url string) string {
	sum := sha256.Sum256([]byte(url))
	clean := strings.TrimSuffix(strings.TrimRight(url, "/"), ".git")
	slug := regexp.MustCompile(`[^a-z0-9]+`).ReplaceAllString(strings.ToLower(path.Base(clean)), "-")
	return cmp.Or(strings.Trim(slug, "-"), "project") + "-" + hex.EncodeToString(sum[:3])
}
