# SPDX-License-Identifier: GPL-3.0-or-later
#
# fish completion for the nobodd tools: options, files, and what is inside images
# (jammy.img:1:/<TAB>), which nobodd-ls lists. Installed under the name of each command.

# What is inside images; an image itself is offered with its colon, too.
function __nobodd_addresses
    set -l word (commandline -ct | string replace -r '^-[^=]*=' '' | string unescape)
    switch "$word"
        case '*:*/*'
            set -l dir (string replace -r '[^/]*$' '' -- $word)
            nobodd-ls -aF -- $dir 2>/dev/null | string replace -r '^' -- $dir
        case '*:*'
            set -l image (string replace -r ':.*' ':' -- $word)
            nobodd-ls -- $image 2>/dev/null | string replace -r '$' '/'
        case '*'
            for file in $word*
                if test -f $file; and nobodd-ls -- $file: >/dev/null 2>&1
                    printf '%s:\tplaces inside the image\n' $file
                end
            end
            __fish_complete_path $word
    end
end

# The options that the command's help shows, short and long, with their text.
function __nobodd_options --argument-names command
    $command --help 2>/dev/null | string match -r '^ +-.*' | while read -l line
        set -l text (string match -rg '  +(\S.*)$' -- (string trim -l -- $line))
        for option in (string match -rag '(?:^|, )(--?[^-=, ][^=, ]*)' -- (string trim -l -- $line | string replace -r '  .*' ''))
            printf '%s\t%s\n' $option "$text[1]"
        end
    end
end

for command in ls cat check cp mv rm mkdir resize prep farm tftpd
    set -l name nobodd-$command
    complete -c $name -f -n 'string match -q -- "-*" (commandline -ct)' -a "(__nobodd_options $name)"
end
for command in ls cat check cp mv rm mkdir
    complete -c nobodd-$command -f -n 'not string match -q -- "-*" (commandline -ct)' -a '(__nobodd_addresses)'
end
for command in resize prep farm tftpd
    complete -c nobodd-$command -F
end
complete -c nobodd-ls -l sort -x -a 'name size time extension none'
complete -c nobodd-resize -s g -l grow -x -a 'last root'
complete -c nobodd-check -s m -l model -x -a 'pi2 pi3 pi3+ cm3 pi4 pi400 cm4 pi5 pi500 cm5'
complete -c nobodd-check -l nbd-conf -r -F
complete -c nobodd-cat -s o -l output -x -a '(__nobodd_addresses)'
complete -c nobodd-prep -s C -l copy -x -a '(__nobodd_addresses)'
for command in cp mv
    complete -c nobodd-$command -s t -l target-directory -x -a '(__nobodd_addresses)'
end
