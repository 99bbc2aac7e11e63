package metadata_test

import (
	"fmt"

	"reqpm/internal/metadata"
)

func ExampleParse() {
	m, err := metadata.Parse([]byte(`Metadata-Version: 2.2
Name: Example
Version: 1.0.post1
Requires-Python: >=3.9
Requires-Dist: tomli (>=1.1) ; python_version < "3.11"
Requires-Dist: not a requirement
Dynamic: License

The description begins here.
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(m.Name, m.Version, m.RequiresPython, m.StaticDependencies())
	fmt.Println(m.RequiresDist)
	fmt.Printf("%q\n", m.BadRequires)
	// Output:
	// Example 1.0.post1 >=3.9 true
	// [tomli>=1.1; python_version < "3.11"]
	// ["not a requirement"]
}
