"""The built-in simulation and the node with it: everything that is needed to give the arm a task.

    ros2 launch magma_vla simulation.launch.py
    ros2 action send_goal --feedback /magma_vla/execute_instruction magma_vla/action/ExecuteInstruction \\
        "{instruction: pick the blue block}"
another scene and task, while the node lets go of the arm (the scene puts it to a start pose at once):

    ros2 service call /magma_vla/set_takeover std_srvs/srv/SetBool "{data: true}"
    ros2 service call /simulator/reset magma_vla/srv/ResetScene "{seed: 1}"     # answers with the task in words
    ros2 service call /magma_vla/set_takeover std_srvs/srv/SetBool "{data: false}"

Nothing but simulated hardware is behind it, so it is no dry run unless dry_run:=true says so. With a namespace, all names,
/clock, /tf and /tf_static among them, move into it: several simulations run side by side, each with its own time.
"""

import importlib.util
import os

from ament_index_python.packages import get_package_share_directory
from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    GroupAction,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
)
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node, SetRemap
from launch_ros.parameter_descriptions import ParameterValue

SHARE = get_package_share_directory('magma_vla')
ROBOT = os.path.join(SHARE, 'launch', 'robot.launch.py')

# Absolute by convention, and one per simulation.
SHARED = ('/clock', '/tf', '/tf_static')
# Passed on to robot.launch.py as they are.
PASSED = ('namespace', 'use_sim_time', 'model', 'provider', 'shadow_model', 'dry_run', 'log_level', 'autostart', 'viz')


def robot_launch():
    """robot.launch.py as a module: which names move into a namespace is said there, once."""
    spec = importlib.util.spec_from_file_location('magma_vla_robot_launch', ROBOT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start(context):
    def argument(name):
        return LaunchConfiguration(name).perform(context)

    config_file = os.path.abspath(argument('config_file'))
    namespace = argument('namespace')
    space = namespace.strip('/')
    # No `name`: it would be given to the controllers of this process too.
    simulator = Node(
        package='magma_vla',
        executable='simulator',
        namespace=namespace,
        output='screen',
        emulate_tty=True,
        arguments=['--config', config_file, '--ros-args', '--log-level', argument('log_level')],
        remappings=robot_launch().into_namespace(config_file, namespace),
        parameters=[
            {
                'seed': ParameterValue(LaunchConfiguration('seed'), value_type=int),
                'family': ParameterValue(LaunchConfiguration('family'), value_type=str),
                'real_time_factor': ParameterValue(LaunchConfiguration('real_time_factor'), value_type=float),
            }
        ],
    )
    node = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(ROBOT),
        launch_arguments={'config_file': config_file, **{name: argument(name) for name in PASSED}}.items(),
    )
    ended = RegisterEventHandler(
        OnProcessExit(target_action=simulator, on_exit=[EmitEvent(event=Shutdown(reason='the simulation ended'))])
    )
    shared = [SetRemap(src=name, dst=f'/{space}{name}') for name in SHARED if space]
    return [GroupAction([*shared, simulator, node]), ended]


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument('namespace', default_value='', description='of simulation and node'),
        DeclareLaunchArgument(
            'use_sim_time', default_value='true', description='time from /clock, which the simulation publishes'
        ),
        DeclareLaunchArgument(
            'config_file',
            default_value=os.path.join(SHARE, 'config', 'sim.yaml'),
            description='robot.yaml of the simulated arm',
        ),
        DeclareLaunchArgument('model', default_value=os.path.join(SHARE, 'models', 'nano'), description='model folder'),
        DeclareLaunchArgument(
            'provider',
            default_value='auto',
            choices=['auto', 'cuda', 'webgpu', 'cpu'],
            description='ONNX Runtime execution provider',
        ),
        DeclareLaunchArgument('shadow_model', default_value='', description='a second model, compared, never commanding'),
        DeclareLaunchArgument(
            'dry_run', default_value='false', choices=['true', 'false'], description='true: nothing is commanded'
        ),
        DeclareLaunchArgument(
            'autostart', default_value='true', choices=['true', 'false'], description='configure and activate by itself'
        ),
        DeclareLaunchArgument('log_level', default_value='info', description='of both'),
        DeclareLaunchArgument('viz', default_value='none', choices=['none', 'rviz', 'foxglove'], description='viewer'),
        DeclareLaunchArgument('seed', default_value='7', description='of the first scene and task'),
        DeclareLaunchArgument(
            'family', default_value='', choices=['', 'pick', 'put', 'push'], description='of the first task'
        ),
        DeclareLaunchArgument('real_time_factor', default_value='1.0', description='simulated per real seconds'),
    ]
    return LaunchDescription([*arguments, OpaqueFunction(function=start)])
