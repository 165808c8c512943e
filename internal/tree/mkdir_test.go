// SPDX-License-Identifier: GPL-3.0-or-later

package tree

import (
	"maps"
	"testing"
)

func TestMkdir(t *testing.T) {
	for _, tt := range []struct {
		name     string
		opt      MkdirOptions
		operands []string
		made     []string
		out      string
		wantErr  string
	}{
		{
			name:     "one, and one in it",
			opt:      MkdirOptions{Verbose: true},
			operands: []string{"vol.img:/New", "vol.img:0:/new/sub/"},
			made:     []string{"New/", "New/sub/"},
			out:      "created directory 'vol.img:/New'\ncreated directory 'vol.img:0:/new/sub'\n",
		},
		{
			name:     "below a directory spelled otherwise",
			operands: []string{"vol.img:/OVERLAYS/DEEP/x", "vol.img:/overlays/deep/X"},
			made:     []string{"overlays/deep/x/"},
			wantErr:  "vol.img:/overlays/deep/X: file exists",
		},
		{
			name:     "no parent",
			operands: []string{"vol.img:/no/such", "vol.img:/new"},
			made:     []string{"new/"},
			wantErr:  "vol.img:/no/such: no such file or directory",
		},
		{
			name:     "parents",
			opt:      MkdirOptions{Parents: true, Verbose: true},
			operands: []string{"vol.img:/a/b", "vol.img:/A/c", "vol.img:/a/B", "vol.img:/", "vol.img:/overlays"},
			made:     []string{"a/", "a/b/", "a/c/"},
			out:      "created directory 'vol.img:/a'\ncreated directory 'vol.img:/a/b'\ncreated directory 'vol.img:/A/c'\n",
		},
		{
			name:     "nothing of a path that cannot be whole",
			opt:      MkdirOptions{Parents: true, Verbose: true},
			operands: []string{"vol.img:/a/b:c/d", "vol.img:/config.txt/x", "vol.img:/config.txt"},
			wantErr: "vol.img:/a/b:c/d: invalid name: it holds ':'\nvol.img:/config.txt/x: not a directory\n" +
				"vol.img:/config.txt: file exists",
		},
		{
			name:     "not in an image",
			operands: []string{"here", "vol.img:"},
			wantErr: "here: a path on this machine, where mkdir(1) makes directories\n" +
				"vol.img:: this is the image itself (vol.img:/ is the root directory of its boot partition)",
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inScene(t, "fat12", nil)
			want := volumeTree(t)
			for _, name := range tt.made {
				want[name] = ""
			}
			env, out := testEnv("")
			if got := messages(t, Mkdir(env, tt.opt, tt.operands)); got != tt.wantErr {
				t.Errorf("errors %q, want %q", got, tt.wantErr)
			}
			if out.String() != tt.out {
				t.Errorf("printed %q, want %q", out, tt.out)
			}
			if got := volumeTree(t); !maps.Equal(got, want) {
				t.Errorf("the volume holds %v, want %v", got, want)
			}
		})
	}
}
