/** `parley completion`: what a shell needs to complete commands and flags. */
import * as Console from "effect/Console"
import * as Argument from "effect/cli/Argument"
import * as Command from "effect/cli/Command"
import * as Completions from "effect/cli/Completions"

/** Of the whole command, which has this one in it. */
export const completionCommand = (whole: () => Parameters<typeof Completions.fromCommand>[0]) => {
  const shell = Argument.Literals("shell", ["bash", "zsh", "fish"]).pipe(
    Argument.withDescription("The shell that the script is for.")
  )
  return Command.make("completion", { shell }, ({ shell }) =>
    Console.log(Completions.generate("parley", shell, Completions.fromCommand(whole())))
  ).pipe(
    Command.withDescription(
      "Print a script that lets a shell complete commands and flags. Exit codes: 0; 2 not understood."
    ),
    Command.withShortDescription("A script that lets a shell complete this command."),
    Command.withExamples([
      { command: 'eval "$(parley completion bash)"', description: "In ~/.bashrc" },
      { command: "parley completion zsh > ~/.zfunc/_parley", description: "In a folder of fpath" },
      { command: "parley completion fish > ~/.config/fish/completions/parley.fish", description: "For fish" }
    ])
  )
}
